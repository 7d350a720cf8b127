package sessiond.cdata;

import java.io.InterruptedIOException;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;

/**
 * Until when one call may take, and whether an interrupt ends it. Where it does not, the interrupt
 * is kept for whoever looks after the call: {@link #close} gives it back to the thread.
 */
final class Deadline implements AutoCloseable {
    private final long at; // of System.nanoTime
    private final boolean isInterruptible;
    private boolean wasInterrupted;

    private Deadline(long millis, boolean isInterruptible) {
        this.at = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(millis);
        this.isInterruptible = isInterruptible;
    }

    /** Returns one that an interrupt ends, by InterruptedIOException. */
    static Deadline interruptible(long millis) {
        return new Deadline(millis, true);
    }

    /** Returns one for what is short, and is to be finished. */
    static Deadline steady(long millis) {
        return new Deadline(millis, false);
    }

    /** Returns how many milliseconds are left, at least 1, or 0 where it is over. */
    long left() {
        long nanos = at - System.nanoTime();
        return nanos <= 0 ? 0 : Math.max(1, TimeUnit.NANOSECONDS.toMillis(nanos));
    }

    boolean isOver() {
        return left() == 0;
    }

    /**
     * Takes note of an interrupt that has come.
     *
     * @throws InterruptedIOException it ends the call
     */
    void heed() throws InterruptedIOException {
        if (Thread.interrupted()) {
            noted();
        }
    }

    /** Waits a while, but not beyond the deadline. */
    void pause(long millis) throws InterruptedIOException {
        heed();
        try {
            Thread.sleep(Math.min(millis, left()));
        } catch (InterruptedException interrupt) {
            noted();
        }
    }

    /** Returns whether one of the permits is the caller's before the deadline is over. */
    boolean gets(Semaphore permits) throws InterruptedIOException {
        while (true) {
            heed();
            try {
                return permits.tryAcquire(left(), TimeUnit.MILLISECONDS);
            } catch (InterruptedException interrupt) {
                noted();
            }
        }
    }

    private void noted() throws InterruptedIOException {
        wasInterrupted = true;
        if (isInterruptible) {
            throw new InterruptedIOException("interrupted");
        }
    }

    @Override
    public void close() {
        if (wasInterrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
