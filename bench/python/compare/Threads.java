// The work of bench/python/lock.py in Java: the same lines parsed and answered by one thread or two, which share one map.
//
//     java -cp target/java-compare Threads THREADS LINES    (compiled by bench/python/measure.py)

import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CyclicBarrier;

final class Threads {
    static final int CLIENTS = 10_000;

    record Location(Rules.Moment moment, String at) {}

    static String answer(ConcurrentHashMap<String, Location> known, String line) {
        String[] fields = line.split(" ");
        if (fields.length != 4 || !fields[0].equals("IAMAT") || !Rules.LOCATION.matcher(fields[2]).matches()
                || !Rules.TIMESTAMP.matcher(fields[3]).matches()) return "? " + line + "\n";
        Rules.Moment moment = Rules.Moment.of(fields[3]);
        String at = "AT Alford " + moment.skew(Instant.now()) + " " + fields[1] + " " + fields[2] + " " + fields[3];
        Location news = new Location(moment, at);
        known.merge(fields[1], news, (old, now) -> now.moment().isAfter(old.moment()) ? now : old);
        return at + "\n";
    }

    static List<String> lines(int first, int count) {
        List<String> all = new ArrayList<>(count);
        for (int number = first; number < first + count; number++) {
            all.add("IAMAT client-" + number % CLIENTS + ".example +34.068930-118.445127 "
                    + (1_479_413_884L + number) + ".392014450");
        }
        return all;
    }

    /** Seconds from when all are ready to when the last has ended. */
    static double measure(int threads, int count) throws Exception {
        ConcurrentHashMap<String, Location> known = new ConcurrentHashMap<>();
        CyclicBarrier begin = new CyclicBarrier(threads + 1);
        List<Thread> all = new ArrayList<>();
        long[] sizes = new long[threads];
        for (int number = 0; number < threads; number++) {
            int own = number;
            List<String> share = lines(number * (count / threads), count / threads);
            Thread thread = new Thread(() -> {
                try {
                    begin.await();
                } catch (Exception error) {
                    throw new IllegalStateException(error);
                }
                long size = 0;
                for (String line : share) size += answer(known, line).length();
                sizes[own] = size;
            });
            thread.start();
            all.add(thread);
        }
        begin.await();
        long start = System.nanoTime();
        for (Thread thread : all) thread.join();
        double seconds = (System.nanoTime() - start) / 1e9;
        for (long size : sizes) if (size == 0) throw new IllegalStateException("a thread has answered nothing");
        return seconds;
    }

    public static void main(String[] args) throws Exception {
        int threads = Integer.parseInt(args[0]);
        int count = Integer.parseInt(args[1]);
        // The compiler within the runtime is given time to do its work; so a server that runs for long has it.
        for (int round = 0; round < 2; round++) measure(threads, count);
        System.out.println("{\"lines\": " + count + ", \"seconds\": " + measure(threads, count) + "}");
    }
}
