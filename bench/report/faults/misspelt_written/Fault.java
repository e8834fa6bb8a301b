// A field is written by a name that it does not have: Python makes a new one.

final class Fault {
    boolean isStopping;

    void stop() {
        this.isStoping = true; // fault
        // instead: this.isStopping = true;
    }
}
