// One of two branches makes the answer and does not return it.

final class Fault {
    static String skew(long difference) {
        if (difference >= 0) return "+" + difference;
        Long.toString(difference); // fault
        // instead: return Long.toString(difference);
    }
}
