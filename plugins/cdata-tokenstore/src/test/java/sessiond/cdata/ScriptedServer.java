package sessiond.cdata;

import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * An HTTP server on a Unix socket that answers as a test says: one thread a connection, answers in
 * the order in which they were given, to whoever asks next.
 */
final class ScriptedServer implements AutoCloseable {
    /** What one request gets. */
    interface Reply {
        /** Returns false where the connection is to be closed afterwards. */
        boolean to(SocketChannel peer) throws IOException, InterruptedException;
    }

    private static final Pattern LENGTH = Pattern.compile("Content-Length: ([0-9]+)");

    final Path socket;
    final List<String> requests = new CopyOnWriteArrayList<>(); // whole, in order
    final List<SocketChannel> peers = new CopyOnWriteArrayList<>(); // in order
    private final BlockingQueue<Reply> replies = new LinkedBlockingQueue<>();
    private ServerSocketChannel listener;
    private Thread accepting;

    ScriptedServer(Path directory) throws IOException {
        this.socket = directory.resolve("control.sock");
        start();
    }

    void start() throws IOException {
        Files.deleteIfExists(socket);
        listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        listener.bind(UnixDomainSocketAddress.of(socket));
        accepting = inBackground(() -> accept(listener));
    }

    /** Stops listening; connections stay. */
    void stop() throws IOException, InterruptedException {
        listener.close();
        accepting.join(); // until then the kernel goes on for it
    }

    ScriptedServer then(Reply reply) {
        replies.add(reply);
        return this;
    }

    /** Answers by these bytes, which are ISO-8859-1, and leaves the connection open. */
    ScriptedServer thenRaw(String answer) {
        return then(
                peer -> {
                    send(peer, answer);
                    return true;
                });
    }

    ScriptedServer thenCut(String answer) {
        return then(
                peer -> {
                    send(peer, answer);
                    return false;
                });
    }

    ScriptedServer then(int status, String body) {
        return thenRaw(answer(status, body));
    }

    ScriptedServer thenProblem(int status, String detail) {
        return then(status, "{\"type\":\"about:blank\",\"detail\":\"" + detail + "\"}");
    }

    /** Never answers, and does not hang up. */
    ScriptedServer thenSilence() {
        return then(peer -> true);
    }

    /** Returns the nth request's first line. */
    String line(int n) {
        return requests.get(n).lines().findFirst().orElseThrow();
    }

    static String answer(int status, String body) {
        String head = "HTTP/1.1 " + status + " As Scripted\r\n";
        if (status == 204) {
            return head + "\r\n";
        }
        int length = body.getBytes(StandardCharsets.UTF_8).length;
        return head + "content-length: " + length + "\r\n\r\n" + body;
    }

    static void send(SocketChannel peer, String text) throws IOException {
        ByteBuffer bytes = ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8));
        while (bytes.hasRemaining()) {
            peer.write(bytes);
        }
    }

    private interface Work {
        void run() throws IOException, InterruptedException;
    }

    private static Thread inBackground(Work work) {
        Thread thread =
                new Thread(
                        () -> {
                            try {
                                work.run();
                            } catch (IOException | InterruptedException over) {
                                return; // the other end is gone, or the test is
                            }
                        });
        thread.setDaemon(true);
        thread.start();
        return thread;
    }

    private void accept(ServerSocketChannel here) throws IOException {
        while (true) {
            SocketChannel peer = here.accept();
            peers.add(peer);
            inBackground(() -> serve(peer));
        }
    }

    private void serve(SocketChannel peer) throws IOException, InterruptedException {
        try (peer) {
            for (String request = request(peer); request != null; request = request(peer)) {
                requests.add(request);
                if (!replies.take().to(peer)) {
                    return;
                }
            }
        }
    }

    /** Returns the next whole request, or null where the peer hung up. */
    private static String request(SocketChannel peer) throws IOException {
        StringBuilder request = new StringBuilder();
        ByteBuffer one = ByteBuffer.allocate(1);
        int end = Integer.MAX_VALUE;
        while (request.length() < end) {
            if (peer.read(one.clear()) < 0) {
                return null;
            }
            request.append((char) (one.get(0) & 0xff));
            if (end == Integer.MAX_VALUE && request.toString().endsWith("\r\n\r\n")) {
                Matcher length = LENGTH.matcher(request);
                end = request.length() + (length.find() ? Integer.parseInt(length.group(1)) : 0);
            }
        }
        return request.toString();
    }

    @Override
    public void close() throws IOException {
        listener.close();
        for (SocketChannel peer : peers) {
            peer.close();
        }
    }
}
