package sessiond.cdata;

import java.io.Closeable;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;

/**
 * One connection to the daemon, for one thread at a time. Never blocks beyond the deadline that it
 * is given: Java has no timeouts for Unix sockets, so each wait is a selector's.
 */
final class Connection implements Closeable {
    private final SocketChannel channel;
    private final Selector selector;
    private final SelectionKey readiness;
    private final ByteBuffer received = ByteBuffer.allocate(8192).flip();
    private boolean hasAnswered; // at all
    private boolean isAnswering; // a byte of the present answer has come
    private long idleSince; // of System.nanoTime

    private Connection(SocketChannel channel, Selector selector) throws IOException {
        this.channel = channel;
        this.selector = selector;
        this.readiness = channel.register(selector, 0);
    }

    /**
     * Connects, or fails at once: a Unix socket knows no connection that is under way.
     *
     * @throws Unreachable nobody is there, or more are waiting to be accepted than may
     */
    static Connection open(Path socket) throws Unreachable {
        try {
            return begun(connected(socket));
        } catch (IOException | UnsupportedOperationException nobody) {
            throw new Unreachable(nobody.getMessage(), nobody);
        }
    }

    private static SocketChannel connected(Path socket) throws IOException {
        SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX);
        boolean isConnected = false;
        try {
            channel.configureBlocking(false);
            isConnected = channel.connect(UnixDomainSocketAddress.of(socket));
        } finally {
            if (!isConnected) {
                channel.close();
            }
        }
        if (!isConnected) {
            throw new IOException("too many wait there to be accepted");
        }
        return channel;
    }

    private static Connection begun(SocketChannel channel) throws IOException {
        Connection begun = null;
        try {
            begun = new Connection(channel, Selector.open());
            return begun;
        } finally {
            if (begun == null) {
                channel.close();
            }
        }
    }

    /**
     * Sends a request and returns its answer. After any exception the connection is to be closed.
     *
     * @throws AnswerLost the daemon closed it before the end of an answer
     * @throws TimedOut no whole answer came in time
     * @throws java.net.ProtocolException what came is no answer
     * @throws InterruptedIOException the thread was interrupted, and the deadline heeds that
     */
    Answer exchange(Request request, Deadline deadline) throws IOException {
        isAnswering = false;
        send(request.bytes(), deadline);
        Answer answer = AnswerReader.read(() -> next(deadline));
        hasAnswered = true;
        idleSince = System.nanoTime();
        return answer;
    }

    /** Says whether the daemon may have closed it before it saw the request that was last sent. */
    boolean wasStale() {
        return hasAnswered && !isAnswering;
    }

    /**
     * Says whether a further request may be sent: it has not been idle for long, nothing is left.
     */
    boolean isFresh(long longestIdle) {
        return System.nanoTime() - idleSince < longestIdle && !received.hasRemaining();
    }

    private void send(ByteBuffer request, Deadline deadline) throws IOException {
        try {
            while (channel.write(request) >= 0 && request.hasRemaining()) {
                await(SelectionKey.OP_WRITE, deadline);
            }
        } catch (InterruptedIOException | TimedOut over) {
            throw over;
        } catch (IOException closed) {
            return; // the answer may be there all the same: a refusal comes before the body is read
        }
    }

    private int next(Deadline deadline) throws IOException {
        while (!received.hasRemaining()) {
            fill(deadline);
        }
        return received.get() & 0xff;
    }

    private void fill(Deadline deadline) throws IOException {
        int count;
        received.clear();
        try {
            count = channel.read(received);
        } catch (IOException closed) {
            throw new AnswerLost("it closed the connection without a whole answer", closed);
        } finally {
            received.flip();
        }
        if (count < 0) {
            throw new AnswerLost("it closed the connection without a whole answer");
        }
        isAnswering |= count > 0;
        if (count == 0) {
            await(SelectionKey.OP_READ, deadline);
        }
    }

    private void await(int operation, Deadline deadline) throws IOException {
        deadline.heed();
        long left = deadline.left();
        if (left == 0) {
            throw new TimedOut("it did not answer in time");
        }
        readiness.interestOps(operation);
        selector.select(left);
        selector.selectedKeys().clear();
        deadline.heed();
    }

    @Override
    public void close() {
        try (channel;
                selector) {
            readiness.cancel();
        } catch (IOException gone) {
            return; // nothing is lost by it: whatever was to be said on it has been
        }
    }
}
