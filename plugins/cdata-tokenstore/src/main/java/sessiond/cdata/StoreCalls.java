package sessiond.cdata;

import java.io.IOException;
import java.net.ProtocolException;
import java.nio.charset.StandardCharsets;

/** The four calls of sessiond's token stores, each once: who calls decides on asking again. */
final class StoreCalls {
    private static final String TOKEN = "/v1/stores/token";
    private static final String LOCK = "/v1/stores/lock";
    private static final String FENCE = "Lock"; // the field that says under which lock
    private static final long LOCK_WITHIN = 75_000; // milliseconds; the daemon says 408 after 60 s
    private static final int NOT_FOUND = 404;
    private static final int TIMED_OUT = 408;
    private static final int CONFLICT = 409;

    private final Connections connections;

    StoreCalls(Connections connections) {
        this.connections = connections;
    }

    /** Returns the value's bytes, or null where there is none. */
    byte[] read(Key key, Deadline deadline) throws IOException {
        Answer answer = connections.read(new Request("GET", TOKEN + key.query()), deadline);
        if (answer.status() == NOT_FOUND) {
            return null;
        }
        return wanted(answer).body();
    }

    /** Writes the value, or removes it where it is empty; false: the lock does not hold. */
    boolean write(Key key, byte[] value, long fence, Deadline deadline) throws IOException {
        Request put =
                new Request("PUT", TOKEN + key.query())
                        .with(FENCE, Long.toString(fence))
                        .with(value, "text/plain; charset=utf-8");
        Answer answer = connections.change(put, deadline);
        if (answer.status() == CONFLICT) {
            return false;
        }
        wanted(answer);
        return true;
    }

    /**
     * Waits for the lock and returns its fence, or -1 where it is to be asked for again. An
     * interrupt ends it.
     *
     * @param maxWait milliseconds without anybody's progress after which it is taken over
     */
    long lock(Key key, int maxWait) throws IOException {
        byte[] body = ("{\"wait_ms\":" + maxWait + "}").getBytes(StandardCharsets.US_ASCII);
        Request post = new Request("POST", LOCK + key.query()).with(body, "application/json");
        Answer answer = connections.await(post, LOCK_WITHIN);
        if (answer.status() == TIMED_OUT) {
            return -1;
        }
        long fence = wanted(answer).fence();
        if (fence < 0) {
            throw new ProtocolException("a lock was given without its fence");
        }
        return fence;
    }

    /** Releases the lock; one that does not hold is released already. */
    void unlock(Key key, long fence, Deadline deadline) throws IOException {
        Request delete =
                new Request("DELETE", LOCK + key.query()).with(FENCE, Long.toString(fence));
        Answer answer = connections.change(delete, deadline);
        if (answer.status() != CONFLICT) {
            wanted(answer);
        }
    }

    private static Answer wanted(Answer answer) throws Refused {
        if (!answer.isSuccess()) {
            throw new Refused(answer);
        }
        return answer;
    }
}
