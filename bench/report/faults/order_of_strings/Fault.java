// A client and its line, both text, change places in a call.

import java.util.Map;

final class Fault {
    static void learn(Map<String, String> known, String client, String at) {
        known.put(client, at);
    }

    static void execute(Map<String, String> known, String client, String at) {
        learn(known, at, client); // fault
        // instead: learn(known, client, at);
    }
}
