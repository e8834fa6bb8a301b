// A field is read by a name that it does not have.

final class Fault {
    record Report(String client, long time) {}

    static boolean isStale(Report report, long stored) {
        return report.tiem() <= stored; // fault
        // instead: return report.time() <= stored;
    }
}
