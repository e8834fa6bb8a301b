// What will have the answer is returned in the place of the answer.

import java.util.concurrent.CompletableFuture;

final class Fault {
    static CompletableFuture<String> places(String location) {
        return CompletableFuture.completedFuture(location);
    }

    static String whatsat(String location) {
        return places(location); // fault
        // instead: return places(location).join();
    }
}
