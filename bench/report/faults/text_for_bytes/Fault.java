// A reply is put together from bytes and text.

import java.nio.charset.StandardCharsets;

final class Fault {
    static byte[] reply(String server) {
        return "AT " + server; // fault
        // instead: return ("AT " + server).getBytes(StandardCharsets.UTF_8);
    }
}
