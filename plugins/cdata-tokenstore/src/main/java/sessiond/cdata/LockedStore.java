package sessiond.cdata;

import java.io.IOException;

/** Reads, and writes under locks, as the threads of one program do. */
final class LockedStore {
    private static final long ANSWER_WITHIN = 10_000; // milliseconds, for one request
    private static final int RESTART = 2_000; // milliseconds that a restart of the daemon may take
    private static final byte[] NONE = {};

    private final StoreCalls calls;
    private final Holds holds;

    LockedStore(Daemon daemon) {
        this.calls = new StoreCalls(daemon.connections());
        this.holds = daemon.holds();
    }

    /** Returns the value's bytes, or null where there is none. */
    byte[] read(Key key) throws IOException {
        return new Patience(RESTART, false).ask(() -> readOnce(key));
    }

    /**
     * Takes the lock for this thread, however long it takes: it is taken over from whoever makes no
     * progress. An interrupt ends the wait.
     *
     * @param maxWait milliseconds without anybody's progress after which it is taken over; also how
     *     long the daemon may be away meanwhile
     */
    void acquire(Key key, TokenStore store, int maxWait) throws IOException {
        holds.taken(key, acquired(key, Thread.currentThread(), store, maxWait));
    }

    /**
     * Writes under the lock that this thread acts under, or removes the value where `value` is
     * empty.
     *
     * <p>Where that lock does not hold any more, since another took it over or the daemon was
     * restarted, it is taken again. The value is written then if it is still as it was: what an
     * issuer gave is not thrown away, which may be the only refresh token that is still good.
     *
     * @return false: another wrote since the lock was taken, and nothing was written now
     * @throws IllegalMonitorStateException nobody has taken a lock that this thread could act under
     */
    boolean write(Key key, TokenStore store, byte[] value) throws IOException {
        Hold hold = holds.of(key, Thread.currentThread(), store);
        if (hold == null) {
            throw new IllegalMonitorStateException();
        }
        if (write(key, value, hold)) {
            holds.replace(key, hold, hold.having(value));
            return true;
        }
        return writeAnew(key, value, hold);
    }

    /**
     * Releases the lock that this thread acts under, if any; one that does not hold is forgotten.
     */
    void release(Key key, TokenStore store) throws IOException {
        Hold hold = holds.of(key, Thread.currentThread(), store);
        if (hold != null) {
            holds.drop(key, hold);
            unlock(key, hold.fence());
        }
    }

    private Hold acquired(Key key, Thread thread, TokenStore store, int maxWait)
            throws IOException {
        Patience patience = new Patience(Math.max(maxWait, RESTART), true);
        long fence = -1;
        while (fence < 0) {
            fence = patience.ask(() -> calls.lock(key, maxWait));
        }
        boolean isRead = false;
        try {
            Fingerprint before = Fingerprint.of(orNone(read(key)));
            isRead = true;
            return new Hold(thread, store, fence, maxWait, before);
        } finally {
            if (!isRead) {
                abandon(key, fence);
            }
        }
    }

    private boolean write(Key key, byte[] value, Hold hold) throws IOException {
        Patience patience = new Patience(Math.max(hold.maxWait(), RESTART), false);
        return patience.ask(() -> writeOnce(key, value, hold.fence()));
    }

    private boolean writeAnew(Key key, byte[] value, Hold dead) throws IOException {
        Hold fresh = acquired(key, dead.thread(), dead.store(), dead.maxWait());
        boolean isWritten = false;
        try {
            // The first may have been carried out, and only its answer lost with the daemon.
            isWritten =
                    fresh.before().equals(Fingerprint.of(value))
                            || fresh.before().equals(dead.before()) && write(key, value, fresh);
            return isWritten;
        } finally {
            if (isWritten) {
                holds.taken(key, fresh.having(value));
            } else {
                abandon(key, fresh.fence());
            }
        }
    }

    private byte[] readOnce(Key key) throws IOException {
        try (Deadline deadline = Deadline.steady(ANSWER_WITHIN)) {
            return calls.read(key, deadline);
        }
    }

    private boolean writeOnce(Key key, byte[] value, long fence) throws IOException {
        try (Deadline deadline = Deadline.steady(ANSWER_WITHIN)) {
            return calls.write(key, value, fence, deadline);
        }
    }

    private void unlock(Key key, long fence) throws IOException {
        try (Deadline deadline = Deadline.steady(ANSWER_WITHIN)) {
            calls.unlock(key, fence, deadline);
        }
    }

    /** Releases a lock that is of no use. */
    private void abandon(Key key, long fence) {
        try {
            unlock(key, fence);
        } catch (IOException away) {
            return; // it becomes stale by itself, and why it is of no use is to be told
        }
    }

    private static byte[] orNone(byte[] value) {
        return value == null ? NONE : value;
    }
}
