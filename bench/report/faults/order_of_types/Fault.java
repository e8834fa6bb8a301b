// A client and its line, each of a type of its own, change places in a call.

import java.util.Map;

final class Fault {
    record Client(String text) {}

    record Line(String text) {}

    static void learn(Map<Client, Line> known, Client client, Line at) {
        known.put(client, at);
    }

    static void execute(Map<Client, Line> known, Client client, Line at) {
        learn(known, at, client); // fault
        // instead: learn(known, client, at);
    }
}
