package sessiond.qstudio;

import java.io.IOException;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** One run of a program: no shell, nothing for it to read, and an end that comes in any case. */
final class Child {
    private static final int MOST_PRINTED = 128 * 1024; // bytes: an answer has two tokens of 32 KiB twice
    private static final int MOST_SAID = 8 * 1024; // bytes kept of standard error, the last ones
    private static final long LINGERING_MILLIS = 1000; // for pipes that its browser has inherited

    final boolean inTime;
    final boolean tooMuch;
    final int exitCode;
    final String printed;
    final String lastWords;

    private Child(boolean inTime, int exitCode, Drain printed, Drain said) {
        this.inTime = inTime;
        this.tooMuch = printed.overflowed();
        this.exitCode = exitCode;
        this.printed = printed.text();
        this.lastWords = LastWords.of(said.text());
    }

    /**
     * Runs a program to its end, and ends it with its children when it takes or prints too much.
     *
     * @throws IOException it cannot be started
     * @throws InterruptedException the calling thread was interrupted, and the program ended
     */
    static Child run(List<String> command, long limitMillis)
            throws IOException, InterruptedException {
        try (Started started = Started.of(command)) {
            Process process = started.process();
            process.getOutputStream().close();
            Drain printed =
                    Drain.of(
                            process.getInputStream(), MOST_PRINTED, () -> ProcessTree.end(process));
            Drain said = Drain.of(process.getErrorStream(), MOST_SAID, () -> {});
            boolean inTime = process.waitFor(limitMillis, TimeUnit.MILLISECONDS);
            ProcessTree.end(process);
            printed.join(LINGERING_MILLIS);
            said.join(LINGERING_MILLIS);
            return new Child(inTime, process.waitFor(), printed, said);
        }
    }
}
