// A time as text is compared with one as a number.

final class Fault {
    static boolean isStale(String timestamp, long stored) {
        return timestamp <= stored; // fault
        // instead: return Long.parseLong(timestamp) <= stored;
    }
}
