// A WHATSAT is answered as if every client were known.

import java.util.Map;

final class Fault {
    static String whatsat(Map<String, String> known, String client) {
        String at = known.get(client); // fault
        // instead: String at = known.getOrDefault(client, "?");
        return at.concat("\n");
    }
}
