import java.io.IOException;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A driver of CData's as its flow chart has it, many at a time: each thread has a factory, a store
 * and a connection to the issuer of its own, and makes its requests one after another. Prints
 * `done` with how often a store failed and the median of its reads, in microseconds.
 */
final class Driver implements Runnable {
    private static final String TOKEN = "oauth";

    private final ReflectedStore store;
    private final Issuer issuer;
    private final int maxWait; // milliseconds
    private final long[] reads; // nanoseconds that the first read of each request took
    private final AtomicInteger failures;

    private Driver(String[] arguments, AtomicInteger failures)
            throws IOException, ReflectiveOperationException {
        store = new ReflectedStore(arguments[0], arguments[1]);
        issuer = new Issuer(Integer.parseInt(arguments[2]));
        reads = new long[Integer.parseInt(arguments[4])];
        maxWait = Integer.parseInt(arguments[5]);
        this.failures = failures;
    }

    /**
     * Arguments: the factory, the context, the issuer's port, threads, requests of each, maxWait.
     */
    public static void main(String[] arguments) throws Exception {
        AtomicInteger failures = new AtomicInteger();
        Driver[] drivers = new Driver[Integer.parseInt(arguments[3])];
        for (int i = 0; i < drivers.length; i++) {
            drivers[i] = new Driver(arguments, failures);
        }
        Thread[] threads = Arrays.stream(drivers).map(Thread::new).toArray(Thread[]::new);
        for (Thread each : threads) {
            each.start();
        }
        for (Thread each : threads) {
            each.join();
        }
        long[] reads = Arrays.stream(drivers).flatMapToLong(d -> Arrays.stream(d.reads)).toArray();
        Arrays.sort(reads);
        System.out.println("done " + failures + " " + reads[reads.length / 2] / 1000);
    }

    @Override
    public void run() {
        for (int i = 0; i < reads.length; i++) {
            while (!requestMade(i)) {
                failures.incrementAndGet();
            }
        }
    }

    /** Makes a request with whatever token is good; false: the store could not be asked for one. */
    private boolean requestMade(int request) {
        try {
            long began = System.nanoTime();
            String token = store.readToken(TOKEN);
            reads[request] = System.nanoTime() - began;
            while (token == null || !issuer.accepts(token)) {
                token = renewed(token);
            }
            return true;
        } catch (IOException gone) {
            throw new IllegalStateException(gone);
        } catch (RuntimeException refused) {
            System.err.println(refused);
            return false;
        }
    }

    private String renewed(String bad) throws IOException {
        store.acquireLock(TOKEN, maxWait);
        try {
            String token = store.readToken(TOKEN);
            if (token == null || token.equals(bad)) { // else a sibling has renewed it meanwhile
                token = issuer.authenticate();
                store.writeToken(TOKEN, token);
            }
            return token;
        } finally {
            store.releaseLock(TOKEN);
        }
    }
}
