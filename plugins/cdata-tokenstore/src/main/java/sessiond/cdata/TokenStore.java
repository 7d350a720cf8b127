package sessiond.cdata;

import java.io.IOException;
import java.lang.System.Logger.Level;
import java.nio.file.Path;

/**
 * The tokens of one context. Drivers find its methods by reflection, one by one.
 *
 * <p>Any number of threads may use one store. A lock is its thread's: what that thread writes and
 * releases is under the lock that it took last, through this or any other store of the context. A
 * thread that took none acts under the lock that was last taken through this object. Locks are not
 * reentrant: who takes one twice waits for himself.
 *
 * <p>What goes wrong is logged, too (logger {@code sessiond.cdata}): drivers show the exception of
 * the reflection, which has no message.
 */
public final class TokenStore {
    private static final String LOGGER = "sessiond.cdata";

    private final String context;
    private final Path socket;
    private final LockedStore values;

    TokenStore(String context, Daemon daemon) {
        this.context = context;
        this.socket = daemon.socket();
        this.values = new LockedStore(daemon);
    }

    /**
     * Returns the value, as it was written, or null where there is none. Needs no lock.
     *
     * @param name which token: {@code oauth}, {@code credentials}
     * @throws TokenStoreException it cannot be read, and was asked for again for 2 s while the
     *     daemon was away
     */
    public String readToken(String name) {
        Key key = key(name);
        try {
            byte[] value = values.read(key);
            return value == null ? null : Utf8.text(value);
        } catch (IOException seen) {
            throw told("readToken", key, seen);
        }
    }

    /**
     * Writes the value under the lock that this thread has taken; it is on disk when this returns.
     *
     * <p>If the lock does not hold any more, it waits for it as {@link #acquireLock} did, and
     * writes if nobody else has meanwhile.
     *
     * @param name which token
     * @param value at most 64 KiB of UTF-8; null or empty removes what is there
     * @throws LockLost another took the lock over and wrote: the value is out of date, read again
     * @throws TokenStoreException it was not written, or nobody knows whether it was: the message
     *     says
     */
    public void writeToken(String name, String value) {
        Key key = key(name);
        try {
            if (!values.write(key, this, Utf8.bytes(value == null ? "" : value))) {
                throw logged(
                        new LockLost(
                                "writeToken of "
                                        + key
                                        + ": this thread's lock was taken over, and another wrote"
                                        + " since; read the token again, and use that"));
            }
        } catch (IllegalMonitorStateException noLock) {
            throw logged(
                    new TokenStoreException(
                            "writeToken of "
                                    + key
                                    + ": neither this thread nor this store has its lock; call"
                                    + " acquireLock before"));
        } catch (IOException seen) {
            throw told("writeToken", key, seen);
        }
    }

    /**
     * Takes the lock for this thread. Returns when it has it: it is taken over from a holder who
     * makes no progress. While others do make progress this waits, in turn.
     *
     * @param name of the token that is to be written
     * @param maxWait milliseconds without anybody's progress after which the lock is taken over;
     *     below 250 counts as 250
     * @throws TokenStoreException the daemon refuses, was away for as long as maxWait (at least 2
     *     s), or this thread was interrupted; the lock is not held
     */
    public void acquireLock(String name, int maxWait) {
        Key key = key(name);
        try {
            values.acquire(key, this, Math.max(0, maxWait));
        } catch (IOException seen) {
            throw told("acquireLock", key, seen);
        }
    }

    /**
     * Releases the lock that this thread has taken. One that it has not, or not any more, is
     * released already. Throws nothing on that account, nor where the daemon is away, since drivers
     * release on their way out of another failure: a lock that stays is taken over in time.
     *
     * @param name of the token
     */
    public void releaseLock(String name) {
        Key key = key(name);
        try {
            values.release(key, this);
        } catch (IOException seen) {
            logged(Failures.of("releaseLock", key, socket, seen));
        }
    }

    private Key key(String name) {
        if (name == null || name.isEmpty()) {
            throw logged(
                    new TokenStoreException(
                            "a token of context \""
                                    + context
                                    + "\" was asked for without its name; CData's are oauth and"
                                    + " credentials"));
        }
        return new Key(context, name);
    }

    private TokenStoreException told(String call, Key key, IOException seen) {
        return logged(Failures.of(call, key, socket, seen));
    }

    private static <E extends TokenStoreException> E logged(E failure) {
        System.getLogger(LOGGER).log(Level.WARNING, failure.getMessage());
        return failure;
    }
}
