// What the Java model knows besides sockets and threads: the fields of a line, the skew, and the cut.

import java.math.BigDecimal;
import java.time.Instant;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

final class Rules {
    static final Pattern LOCATION = Pattern.compile(
            "([+-](?:0?[0-8]?[0-9](?:\\.[0-9]+)?|0?90(?:\\.0+)?))"
            + "([+-](?:(?:0?[0-9]?[0-9]|1[0-7][0-9])(?:\\.[0-9]+)?|180(?:\\.0+)?))/?");
    static final Pattern TIMESTAMP = Pattern.compile("[0-9]{1,12}(?:\\.[0-9]{1,9})?");
    static final Pattern SKEW = Pattern.compile("[+-](?:0|[1-9][0-9]{0,12})\\.[0-9]{9}");
    static final Pattern RADIUS = Pattern.compile("0*(?:[0-4]?[0-9](?:\\.[0-9]+)?|50(?:\\.0+)?)");
    static final Pattern BOUND = Pattern.compile("0*(?:1?[0-9]|20)");
    static final Pattern RESULTS = Pattern.compile("\"results\"\\s*:\\s*\\[");
    static final String FAILED =
            "{\"error_message\":\"The upstream has failed.\",\"results\":[],\"status\":\"UNKNOWN_ERROR\"}";

    record Moment(long seconds, int nanos) {
        static Moment of(String text) {
            int point = text.indexOf('.');
            if (point < 0) return new Moment(Long.parseLong(text), 0);
            int nanos = Integer.parseInt(text.substring(point + 1));
            for (int digits = text.length() - point - 1; digits < 9; digits++) nanos *= 10;
            return new Moment(Long.parseLong(text.substring(0, point)), nanos);
        }

        boolean isAfter(Moment other) {
            return seconds > other.seconds || seconds == other.seconds && nanos > other.nanos;
        }

        /** The server's clock minus this. */
        String skew(Instant server) {
            long whole = server.getEpochSecond() - seconds;
            int rest = server.getNano() - nanos;
            boolean isNegative = whole < 0 || whole == 0 && rest < 0;
            if (isNegative) {
                whole = -whole;
                rest = -rest;
            }
            if (rest < 0) {
                whole -= 1;
                rest += 1_000_000_000;
            }
            String decimals = Integer.toString(1_000_000_000 + rest).substring(1);
            return (isNegative ? "-" : "+") + whole + "." + decimals;
        }
    }

    record Cut(String text, int count) {}

    /** What the upstream is asked. */
    static String target(String location, String radius) {
        Matcher match = LOCATION.matcher(location);
        match.matches();
        BigDecimal metres = new BigDecimal(radius).movePointRight(3).max(BigDecimal.ONE);
        return "/maps/api/place/nearbysearch/json?location=" + plain(match.group(1)) + "," + plain(match.group(2))
                + "&radius=" + plain(metres.toString()) + "&key=bench";
    }

    private static String plain(String number) {
        return new BigDecimal(number).stripTrailingZeros().toPlainString();
    }

    /** The document with its first results, every byte of them as it came. */
    static Cut cut(String body, int bound) {
        String text = body.replaceAll("^[\r\n]+|[\r\n]+$", "").replaceAll("\n[\r\n]+", "\n");
        Matcher array = RESULTS.matcher(text);
        if (!array.find()) throw new IllegalArgumentException("no results");
        int start = array.end();
        int head = start;
        int end = start;
        int at = start;
        int count = 0;
        for (int depth = 0; ; at++) {
            char letter = text.charAt(at);
            if (Character.isWhitespace(letter)) continue;
            if (depth == 0 && (letter == ',' || letter == ']')) {
                if (end > start) count++;
                if (count <= bound) head = end;
                if (letter == ']') break;
                continue;
            }
            if (letter == '"') {
                for (at++; text.charAt(at) != '"'; at++) if (text.charAt(at) == '\\') at++;
            }
            if (letter == '{' || letter == '[') depth++;
            if (letter == '}' || letter == ']') depth--;
            end = at + 1;
        }
        if (bound == 0 && count > 0) end = at;
        return new Cut(text.substring(0, head) + text.substring(end), Math.min(count, bound));
    }

    private Rules() {}
}
