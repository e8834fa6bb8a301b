// Two threads write one map without a lock.

import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

final class Fault {
    static void learn(Map<String, Long> known, String client, long time) {
        known.merge(client, time, Math::max);
    }

    static void serve() {
        Map<String, Long> known = new HashMap<>(); // fault
        // instead: Map<String, Long> known = new ConcurrentHashMap<>();
        for (long time = 1; time <= 2; time++) {
            long own = time;
            new Thread(() -> learn(known, "kiwi.cs.ucla.edu", own)).start();
        }
    }
}
