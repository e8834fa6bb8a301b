// Traffic lines in a file: they wait in memory and are written some at a time, at the latest after a second.

import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;

final class Log {
    private static final int LOG_BYTES = 64 * 1024;
    private static final DateTimeFormatter TIME =
            DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss.SSSSSS'Z'").withZone(ZoneOffset.UTC);

    private final OutputStream file;
    private final StringBuilder logged = new StringBuilder();

    /** None is written where the path is null. */
    Log(String path) throws IOException {
        file = path == null ? null : new FileOutputStream(path, true);
    }

    /** Of one batch: the first has the time. */
    void traffic(String... lines) {
        if (file == null) return;
        StringBuilder text = new StringBuilder(TIME.format(Instant.now())).append(' ');
        for (String line : lines) {
            for (int at = 0; at < line.length(); at++) {
                char letter = line.charAt(at);
                if (letter == '\\') text.append("\\\\");
                else if (letter >= ' ' && letter <= '~') text.append(letter);
                else text.append(String.format("\\x%02x", (int) letter));
            }
            text.append('\n');
        }
        synchronized (logged) {
            logged.append(text);
            if (logged.length() > LOG_BYTES) flush();
        }
    }

    void flush() {
        synchronized (logged) {
            try {
                if (file != null) file.write(logged.toString().getBytes(StandardCharsets.ISO_8859_1));
            } catch (IOException error) {
                System.err.println("the log: " + error.getMessage());
            }
            logged.setLength(0);
        }
    }

    void flushEachSecond() {
        while (true) {
            try {
                Thread.sleep(1000);
            } catch (InterruptedException never) {
                return;
            }
            flush();
        }
    }
}
