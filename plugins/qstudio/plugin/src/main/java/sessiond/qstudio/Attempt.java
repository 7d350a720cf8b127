package sessiond.qstudio;

import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;

/** One try at getting credentials, made by one thread and shared by those that ask meanwhile. */
final class Attempt {
    private static final long PAUSE_NANOS = TimeUnit.SECONDS.toNanos(5);

    private final FutureTask<Credentials> task;
    private final LongSupplier nanoTime;
    private long refusedAt; // both are written before the task is done, and read afterwards
    private boolean refused;

    Attempt(Callable<Credentials> work, LongSupplier nanoTime) {
        this.task = new FutureTask<>(() -> made(work));
        this.nanoTime = nanoTime;
    }

    void make() {
        task.run();
    }

    private Credentials made(Callable<Credentials> work) throws Exception {
        try {
            return work.call();
        } catch (SignInFailed failed) {
            refusedAt = nanoTime.getAsLong();
            refused = failed.personWasAsked;
            throw failed;
        }
    }

    /** Says whether this one still speaks for the next: it is under way, or was just refused. */
    boolean answers() {
        return !task.isDone() || refused && nanoTime.getAsLong() - refusedAt < PAUSE_NANOS;
    }

    Credentials outcome() {
        try {
            return task.get();
        } catch (InterruptedException cancelled) {
            Thread.currentThread().interrupt();
            throw new SignInFailed("The sign-in was cancelled.");
        } catch (ExecutionException failed) {
            Throwable cause = failed.getCause();
            if (cause instanceof SignInFailed) {
                throw new SignInFailed(cause.getMessage(), ((SignInFailed) cause).personWasAsked);
            }
            throw new IllegalStateException(cause);
        }
    }
}
