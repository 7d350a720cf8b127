package sessiond.qstudio;

import java.io.IOException;
import java.util.List;

/** A program that ends with qStudio at the latest, however soon that is closed. */
final class Started implements AutoCloseable {
    private final Thread whenClosed = new Thread(this::end, "sessiond sign-in");
    private Process process; // null only before it is started

    private Started() {}

    /**
     * Starts a program.
     *
     * @throws IOException it cannot be started, or qStudio is being closed
     */
    static Started of(List<String> command) throws IOException {
        Started started = new Started();
        try {
            started.start(command);
        } catch (IOException cannotStart) {
            started.close();
            throw cannotStart;
        }
        return started;
    }

    /** In one go: nobody who closes qStudio comes between. */
    private synchronized void start(List<String> command) throws IOException {
        try {
            Runtime.getRuntime().addShutdownHook(whenClosed);
        } catch (IllegalStateException closing) {
            throw new IOException("qStudio is being closed", closing);
        }
        process = new ProcessBuilder(command).start();
    }

    synchronized Process process() {
        return process;
    }

    private synchronized void end() {
        if (process != null) {
            ProcessTree.end(process);
        }
    }

    @Override
    public void close() {
        end();
        try {
            Runtime.getRuntime().removeShutdownHook(whenClosed);
        } catch (IllegalStateException closing) {
            return; // it runs by now, and finds nothing to do
        }
    }
}
