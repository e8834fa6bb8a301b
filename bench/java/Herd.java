// A node of the herd in Java: blocking sockets, a thread a connection. bench/README.md has the command line.
//
// Text is read and written as ISO 8859-1, a character a byte, so that a client's bytes come back as they came. A read
// brings a batch of lines, whose replies leave in one write.

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URL;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.StringTokenizer;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;

public final class Herd {
    private static final int BACKLOG = 4096;
    private static final int LINE_BYTES = 16 * 1024;
    private static final int SHOWN_BYTES = 64; // of a line that is too long
    private static final int READ_BYTES = 16 * 1024;
    private static final int OUTBOX_LINES = 65536; // for one peer; what finds no room is lost
    private static final int RETRY_MS = 1000;
    private static final int LOOKUP_MS = 6000;
    private static final int DRAIN_MS = 10000;

    private static final Charset BYTES = StandardCharsets.ISO_8859_1;

    private record Location(Rules.Moment moment, String at) {}

    /** What this node says to a peer; the thread that dials it takes from the outbox. */
    private record Link(String number, BlockingQueue<byte[]> outbox) {}

    private final String id;
    private final Map<String, String> peers;
    private final String upstream;
    private final Log log;
    private final Executor threads;
    private final Map<String, Location> known = new ConcurrentHashMap<>();
    private final Map<String, Link> links = new ConcurrentHashMap<>();
    private final Set<Socket> sessions = ConcurrentHashMap.newKeySet();
    private final AtomicInteger connections = new AtomicInteger();
    private volatile boolean isStopping;

    private Herd(Map<String, String> options, Map<String, String> peers) throws Exception {
        id = options.get("--id");
        this.peers = peers;
        upstream = options.get("--upstream");
        log = new Log(options.get("--log"));
        threads = options.containsKey("--virtual") ? virtual() : task -> start(task, false);
    }

    /** Of a JDK that has virtual threads; this source compiles with those that have not. */
    private static Executor virtual() throws ReflectiveOperationException {
        return (Executor) Executors.class.getMethod("newVirtualThreadPerTaskExecutor").invoke(null);
    }

    private static void start(Runnable task, boolean isDaemon) {
        Thread thread = new Thread(null, task, "connection", 256 * 1024);
        thread.setDaemon(isDaemon);
        thread.start();
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, String> options = new HashMap<>();
        Map<String, String> peers = new LinkedHashMap<>();
        for (int at = 0; at < arguments.length; at++) {
            if (arguments[at].equals("--virtual")) {
                options.put("--virtual", "");
            } else if (arguments[at].equals("--peer")) {
                String[] peer = arguments[++at].split("=", 2);
                peers.put(peer[0], peer[1]);
            } else {
                options.put(arguments[at], arguments[++at]);
            }
        }
        System.setProperty("http.maxConnections", "1024");
        new Herd(options, peers).serve(address(options.get("--listen")));
    }

    private static InetSocketAddress address(String text) {
        int colon = text.lastIndexOf(':');
        return new InetSocketAddress(text.substring(0, colon), Integer.parseInt(text.substring(colon + 1)));
    }

    private void serve(InetSocketAddress at) throws IOException {
        ServerSocket listener = new ServerSocket(at.getPort(), BACKLOG, at.getAddress());
        Runtime.getRuntime().addShutdownHook(new Thread(() -> drain(listener)));
        InetAddress host = listener.getInetAddress();
        say("listening " + host.getHostAddress() + ":" + listener.getLocalPort());
        for (String peer : peers.keySet()) start(() -> link(peer), true);
        start(log::flushEachSecond, true);
        while (!listener.isClosed()) {
            try {
                Socket socket = listener.accept();
                sessions.add(socket);
                threads.execute(() -> session(socket));
            } catch (IOException gone) {
                // The caller has hung up, or drain has closed the listener.
            }
        }
    }

    private static void say(String line) {
        System.out.println(line);
        System.out.flush();
    }

    /** On SIGTERM: what was read is finished. Halting makes the status 0. */
    private void drain(ServerSocket listener) {
        isStopping = true;
        try {
            listener.close();
            long deadline = System.nanoTime() + DRAIN_MS * 1_000_000L;
            while (!sessions.isEmpty() && System.nanoTime() < deadline) {
                for (Socket socket : sessions) shutdownInput(socket);
                Thread.sleep(5);
            }
            log.flush();
        } catch (IOException | InterruptedException error) {
            error.printStackTrace();
        }
        Runtime.getRuntime().halt(0);
    }

    private static void shutdownInput(Socket socket) {
        try {
            socket.shutdownInput();
        } catch (IOException gone) {
            // Then its session ends anyway.
        }
    }

    private void session(Socket socket) {
        String number = "#" + connections.incrementAndGet();
        try (socket) {
            socket.setTcpNoDelay(true);
            OutputStream out = socket.getOutputStream();
            byte[] bytes = new byte[READ_BYTES];
            String rest = "";
            String tooLong = "";
            ByteArrayOutputStream replies = new ByteArrayOutputStream();
            for (int count; (count = socket.getInputStream().read(bytes)) > 0;) {
                String text = rest + new String(bytes, 0, count, BYTES);
                int from = 0;
                for (int to; (to = text.indexOf('\n', from)) >= 0; from = to + 1) {
                    boolean isCrLf = to > from && text.charAt(to - 1) == '\r';
                    String line = tooLong.isEmpty() ? text.substring(from, isCrLf ? to - 1 : to) : tooLong;
                    tooLong = "";
                    execute(number, line, isCrLf ? "\r\n" : "\n", replies, out);
                }
                rest = text.substring(from);
                if (rest.length() > LINE_BYTES + 1 && tooLong.isEmpty()) tooLong = rest; // a CR may be the terminator's
                if (!tooLong.isEmpty()) rest = rest.substring(Math.max(rest.length() - 1, 0));
                flush(replies, out);
            }
            String last = tooLong.isEmpty() ? rest : tooLong;
            if (!last.isEmpty() && !isStopping) execute(number, last, "\n", replies, out);
            flush(replies, out);
        } catch (IOException reset) {
            // Nobody is there to be answered.
        } finally {
            sessions.remove(socket);
        }
    }

    private static void flush(ByteArrayOutputStream replies, OutputStream out) throws IOException {
        if (replies.size() > 0) replies.writeTo(out);
        replies.reset();
    }

    private void execute(String number, String line, String end, ByteArrayOutputStream replies, OutputStream out)
            throws IOException {
        if (line.length() > LINE_BYTES) {
            invalid(number, line.substring(0, SHOWN_BYTES), end, replies);
            return;
        }
        StringTokenizer tokens = new StringTokenizer(line, " \t\r\n\f\u000b");
        String[] fields = new String[tokens.countTokens()];
        for (int at = 0; at < fields.length; at++) fields[at] = tokens.nextToken();
        String keyword = fields.length == 0 ? "" : fields[0];
        if (keyword.equals("IAMAT") && fields.length == 4
                && Rules.LOCATION.matcher(fields[2]).matches() && Rules.TIMESTAMP.matcher(fields[3]).matches()) {
            Rules.Moment moment = Rules.Moment.of(fields[3]);
            String skew = moment.skew(Instant.now());
            String at = "AT " + id + " " + skew + " " + fields[1] + " " + fields[2] + " " + fields[3];
            log.traffic(number + " < " + line, number + " > " + at);
            learn(fields[1], new Location(moment, at), null);
            replies.writeBytes((at + end).getBytes(BYTES));
        } else if (keyword.equals("WHATSAT") && fields.length == 4 && upstream != null
                && Rules.RADIUS.matcher(fields[2]).matches() && Rules.BOUND.matcher(fields[3]).matches()
                && known.containsKey(fields[1])) {
            flush(replies, out); // what is owed does not wait for a lookup
            String at = known.get(fields[1]).at();
            Rules.Cut places = places(at.split(" ")[4], fields[2], Integer.parseInt(fields[3]));
            String summary = " > [" + places.count() + " results, " + places.text().length() + " bytes]";
            log.traffic(number + " < " + line, number + " > " + at, number + summary);
            replies.writeBytes((at + end + places.text() + end + end).getBytes(BYTES));
        } else if (keyword.equals("AT") && fields.length == 7 && peers.containsKey(fields[6])
                && Rules.SKEW.matcher(fields[2]).matches() && Rules.LOCATION.matcher(fields[4]).matches()
                && Rules.TIMESTAMP.matcher(fields[5]).matches()) {
            log.traffic(number + " < " + line);
            String at = "AT " + fields[1] + " " + fields[2] + " " + fields[3] + " " + fields[4] + " " + fields[5];
            learn(fields[3], new Location(Rules.Moment.of(fields[5]), at), fields[6]);
        } else {
            invalid(number, line, end, replies);
        }
    }

    private void invalid(String number, String line, String end, ByteArrayOutputStream replies) {
        log.traffic(number + " < " + line, number + " > ? " + line);
        replies.writeBytes(("? " + line + end).getBytes(BYTES));
    }

    /** Keeps what is strictly newer, and tells it to all peers but the one it came from. */
    private void learn(String client, Location location, String sender) {
        Location kept = known.merge(client, location,
                (old, young) -> young.moment().isAfter(old.moment()) ? young : old);
        if (kept != location) return;
        String news = location.at() + " " + id;
        byte[] bytes = (news + "\n").getBytes(BYTES);
        links.forEach((peer, link) -> {
            if (!peer.equals(sender) && link.outbox().offer(bytes)) log.traffic(link.number() + " > " + news);
        });
    }

    private void link(String peer) {
        while (!isStopping) {
            try (Socket socket = new Socket()) {
                socket.connect(address(peers.get(peer)));
                socket.setTcpNoDelay(true);
                Link link = new Link("#" + connections.incrementAndGet(), new ArrayBlockingQueue<>(OUTBOX_LINES));
                links.put(peer, link);
                say("linked " + peer);
                Thread writer = Thread.currentThread();
                start(() -> watch(socket, writer), true);
                ByteArrayOutputStream batch = new ByteArrayOutputStream();
                while (true) {
                    for (byte[] line = link.outbox().take(); line != null; line = link.outbox().poll()) {
                        batch.writeBytes(line);
                    }
                    flush(batch, socket.getOutputStream());
                }
            } catch (IOException | InterruptedException ended) {
                links.remove(peer);
            }
            try {
                Thread.sleep(RETRY_MS);
            } catch (InterruptedException late) {
                // The watcher's word of a link that has ended already.
            }
        }
    }

    /** Throws away what a peer says on the connection made to it, and tells the writer of its end. */
    private static void watch(Socket socket, Thread writer) {
        try (socket) {
            socket.getInputStream().transferTo(OutputStream.nullOutputStream());
        } catch (IOException reset) {
            // An end like another.
        }
        writer.interrupt();
    }

    /** Nearby Search, over connections that the JDK keeps. */
    private Rules.Cut places(String location, String radius, int bound) {
        try {
            URL url = new URL(upstream + Rules.target(location, radius));
            HttpURLConnection connection = (HttpURLConnection) url.openConnection();
            connection.setConnectTimeout(LOOKUP_MS);
            connection.setReadTimeout(LOOKUP_MS);
            try (var body = connection.getInputStream()) {
                return Rules.cut(new String(body.readAllBytes(), BYTES), bound);
            }
        } catch (IOException | RuntimeException failure) {
            return new Rules.Cut(Rules.FAILED, 0);
        }
    }
}
