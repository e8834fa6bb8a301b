// A file that cannot be read is not thought of.

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

final class Fault {
    static String key(Path path) {
        try {
            return Files.readString(path);
        } catch (IllegalArgumentException error) { // fault
        // instead: } catch (IOException error) {
            return "";
        }
    }
}
