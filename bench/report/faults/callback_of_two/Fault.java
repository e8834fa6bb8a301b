// A callback takes two arguments and is given one.

import java.util.concurrent.CompletableFuture;

final class Fault {
    static String answer(String body, String client) {
        return client + body;
    }

    static CompletableFuture<String> whatsat(CompletableFuture<String> body, String client) {
        return body.thenApply(Fault::answer); // fault
        // instead: return body.thenApply(text -> answer(text, client));
    }
}
