package sessiond.qstudio;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;

/** Reads a pipe to its end, so that nobody waits to write into it, and keeps the last bytes. */
final class Drain extends Thread {
    private final InputStream pipe;
    private final Runnable whenOverflowed;
    private final byte[] kept;
    private int size;
    private boolean overflowed;

    private Drain(InputStream pipe, int most, Runnable whenOverflowed) {
        super("sessiond sign-in");
        setDaemon(true); // a browser may hold the pipe for days: qStudio must be able to end
        this.pipe = pipe;
        this.kept = new byte[most];
        this.whenOverflowed = whenOverflowed;
    }

    static Drain of(InputStream pipe, int most, Runnable whenOverflowed) {
        Drain drain = new Drain(pipe, most, whenOverflowed);
        drain.start();
        return drain;
    }

    @Override
    public void run() {
        byte[] read = new byte[4096];
        try {
            for (int n = pipe.read(read); n >= 0; n = pipe.read(read)) {
                if (keep(read, n)) {
                    whenOverflowed.run();
                }
            }
        } catch (IOException closed) {
            return; // its program has ended: what was read is what there is
        }
    }

    /** Returns whether this is the first that did not fit. */
    private synchronized boolean keep(byte[] read, int n) {
        int surplus = Math.max(0, size + n - kept.length);
        System.arraycopy(kept, surplus, kept, 0, size - Math.min(size, surplus));
        size -= Math.min(size, surplus);
        System.arraycopy(read, 0, kept, size, n);
        size += n;
        boolean first = surplus > 0 && !overflowed;
        overflowed |= first;
        return first;
    }

    synchronized boolean overflowed() {
        return overflowed;
    }

    synchronized String text() {
        return new String(kept, 0, size, StandardCharsets.UTF_8);
    }
}
