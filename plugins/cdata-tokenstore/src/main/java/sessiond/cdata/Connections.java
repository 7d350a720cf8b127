package sessiond.cdata;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;

/**
 * All connections of this program to one daemon. At most 24, since the daemon lets a user have 128,
 * of which 64 may wait for locks, and others of the same user want some too.
 *
 * <p>Reads go over connections that are kept. What changes something goes over one of its own, so
 * that it never meets one that the daemon has just closed for being idle, where nobody could say
 * whether it was carried out.
 */
final class Connections {
    private static final int SHORT = 8; // calls at a time that are answered at once
    private static final int WAITING = 16; // calls at a time that wait for a lock
    private static final long LONGEST_IDLE = TimeUnit.SECONDS.toNanos(3); // the daemon's is 5 s

    private final Path socket;
    private final Semaphore forShort = new Semaphore(SHORT, true);
    private final Semaphore forWaiting = new Semaphore(WAITING, true);
    private final Deque<Connection> idle = new ArrayDeque<>(); // the newest first

    Connections(Path socket) {
        this.socket = socket;
    }

    /** Asks for what changes nothing. */
    Answer read(Request request, Deadline deadline) throws IOException {
        return shortly(deadline, () -> overKept(request, deadline));
    }

    /** Asks for a change. */
    Answer change(Request request, Deadline deadline) throws IOException {
        return shortly(deadline, () -> overOwn(request, deadline));
    }

    /**
     * Asks for what the daemon answers late; an interrupt ends it.
     *
     * @param millis until the answer is to be there, once it was asked for; before that others may
     *     have to be done
     */
    Answer await(Request request, long millis) throws IOException {
        try {
            forWaiting.acquire();
        } catch (InterruptedException interrupt) {
            Thread.currentThread().interrupt();
            throw new InterruptedIOException("interrupted");
        }
        try (Deadline deadline = Deadline.interruptible(millis)) {
            return overOwn(request, deadline);
        } finally {
            forWaiting.release();
        }
    }

    private interface Exchange {
        Answer make() throws IOException;
    }

    private Answer shortly(Deadline deadline, Exchange exchange) throws IOException {
        if (!deadline.gets(forShort)) {
            throw new TimedOut("this program had too many requests under way for too long");
        }
        try {
            return exchange.make();
        } finally {
            forShort.release();
        }
    }

    private Answer overOwn(Request request, Deadline deadline) throws IOException {
        try (Connection own = Connection.open(socket)) {
            return own.exchange(request.with("Connection", "close"), deadline);
        }
    }

    private Answer overKept(Request request, Deadline deadline) throws IOException {
        Connection kept = takeIdle();
        if (kept != null) {
            try {
                return exchangeAndKeep(kept, request, deadline);
            } catch (AnswerLost lost) {
                if (!kept.wasStale()) {
                    throw lost;
                }
            }
        }
        return exchangeAndKeep(Connection.open(socket), request, deadline);
    }

    private Answer exchangeAndKeep(Connection connection, Request request, Deadline deadline)
            throws IOException {
        boolean isKept = false;
        try {
            Answer answer = connection.exchange(request, deadline);
            isKept = !answer.endsConnection();
            return answer;
        } finally {
            if (isKept) {
                keep(connection);
            } else {
                connection.close();
            }
        }
    }

    private Connection takeIdle() {
        synchronized (idle) {
            while (!idle.isEmpty()) {
                Connection newest = idle.pop();
                if (newest.isFresh(LONGEST_IDLE)) {
                    return newest;
                }
                newest.close();
            }
            return null;
        }
    }

    private void keep(Connection connection) {
        synchronized (idle) {
            idle.push(connection);
        }
    }
}
