package sessiond.cdata;

import java.io.IOException;

/**
 * Asks again while the daemon is being restarted: while nobody is at its socket, or it went away
 * amid a request. Only for requests that may be carried out twice, as all of ours may: a lock that
 * was given to nobody becomes stale, and a second writing of the same value under the same fence
 * changes nothing.
 *
 * @param millis how long after the first failure a further one is final
 * @param isInterruptible whether an interrupt ends it
 */
record Patience(long millis, boolean isInterruptible) {
    private static final long SHORTEST_PAUSE = 50; // milliseconds; each is twice the one before
    private static final long LONGEST_PAUSE = 1_000;

    /** One request. */
    interface Call<T> {
        T make() throws IOException;
    }

    /** Returns what the call returns, and throws what it throws but for what passes in time. */
    <T> T ask(Call<T> call) throws IOException {
        try {
            return call.make();
        } catch (Unreachable | AnswerLost | Refused first) {
            try (Deadline deadline = deadline()) {
                return askAgain(call, first, deadline);
            }
        }
    }

    private static <T> T askAgain(Call<T> call, IOException first, Deadline deadline)
            throws IOException {
        IOException last = first;
        long pause = SHORTEST_PAUSE;
        while (passes(last) && !deadline.isOver()) {
            deadline.pause(pause);
            pause = Math.min(2 * pause, LONGEST_PAUSE);
            try {
                return call.make();
            } catch (Unreachable | AnswerLost | Refused again) {
                last = again;
            }
        }
        throw last;
    }

    private static boolean passes(IOException failure) {
        return !(failure instanceof Refused) || ((Refused) failure).isPassing();
    }

    private Deadline deadline() {
        return isInterruptible ? Deadline.interruptible(millis) : Deadline.steady(millis);
    }
}
