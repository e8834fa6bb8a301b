// What a map of so many clients' locations costs in Java: bytes of the heap a client, and how long a full collection takes.
//
//     java -cp target/java-compare Heap CLIENTS    (compiled by bench/python/measure.py)

import java.util.HashMap;

final class Heap {
    record Location(Rules.Moment moment, String at) {}

    static long used() {
        Runtime runtime = Runtime.getRuntime();
        System.gc();
        return runtime.totalMemory() - runtime.freeMemory();
    }

    public static void main(String[] args) {
        int clients = Integer.parseInt(args[0]);
        long before = used();
        HashMap<String, Location> known = new HashMap<>();
        for (int number = 0; number < clients; number++) {
            String client = "client-" + number + ".example";
            String at = "AT Alford +0.263873386 " + client + " +34.068930-118.445127 1479413884.392014450";
            known.put(client, new Location(new Rules.Moment(1_479_413_884L, 392_014_450), at));
        }
        double bytes = (double) (used() - before) / clients;
        long start = System.nanoTime();
        System.gc();
        double pause = (System.nanoTime() - start) / 1e6;
        if (known.size() != clients) throw new IllegalStateException("the map is not whole");
        System.out.println("{\"bytes\": " + bytes + ", \"full_ms\": " + pause + "}");
    }
}
