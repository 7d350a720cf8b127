package sessiond.qstudio;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.timestored.plugins.ConnectionDetails;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

@Timeout(60)
class SignInTest {
    private static final String ADDRESS = "GW1.corp.example";
    private final List<String> asked = Collections.synchronizedList(new ArrayList<>());
    private final AtomicLong now = new AtomicLong(); // nanoseconds
    private final ExecutorService threads = Executors.newCachedThreadPool();

    @AfterEach
    void asBefore() {
        threads.shutdownNow();
        System.getProperties().keySet().removeIf(key -> key.toString().startsWith("sessiond."));
    }

    @Test
    void theServerIsKeptAndTheLoginIsThePersons() {
        ConnectionDetails details = atOnce().getonConnectionDetails(server("typed", "also typed"));
        assertEquals(ADDRESS, details.getHost());
        assertEquals(5010, details.getPort());
        assertEquals("db", details.getDatabase());
        assertEquals("alice", details.getUsername());
        assertEquals(FakeLogin.PASSWORD, details.getPassword());
    }

    @Test
    void theProfileIsTheServersElseTheOneForAllElseTheDefault() {
        SignIn signIn = atOnce();
        signIn.getonConnectionDetails(server(null, null));
        System.setProperty("sessiond.profile", "all");
        signIn.getonConnectionDetails(server(null, null));
        System.setProperty("sessiond.profile.gw1.corp.example", "host");
        signIn.getonConnectionDetails(server(null, null));
        System.setProperty("sessiond.profile.gw1.corp.example:5010", "port");
        signIn.getonConnectionDetails(server(null, null));
        assertEquals(List.of("", "all", "host", "port"), asked);
    }

    @Test
    void aServerWithoutAHostIsAskedForToo() {
        atOnce().getonConnectionDetails(new ConnectionDetails(null, 0, null, null, null));
        assertEquals(List.of(""), asked);
    }

    @Test
    void thoseThatAskMeanwhileGetWhatTheFirstBrings() throws Exception {
        CountDownLatch begun = new CountDownLatch(1);
        CountDownLatch signedIn = new CountDownLatch(1);
        SignIn signIn =
                new SignIn(
                        profile -> {
                            asked.add(profile);
                            begun.countDown();
                            await(signedIn);
                            return Credentials.fromJson(FakeLogin.ANSWER);
                        },
                        now::get);
        List<Future<ConnectionDetails>> all = new ArrayList<>();
        all.add(threads.submit(() -> signIn.getonConnectionDetails(server("", ""))));
        begun.await();
        List<Thread> joined = Collections.synchronizedList(new ArrayList<>());
        for (int i = 0; i < 5; i++) {
            all.add(
                    threads.submit(
                            () -> {
                                joined.add(Thread.currentThread());
                                return signIn.getonConnectionDetails(server("", ""));
                            }));
            while (joined.size() <= i || joined.get(i).getState() != Thread.State.WAITING) {
                Thread.onSpinWait();
            }
        }
        signedIn.countDown();
        for (Future<ConnectionDetails> each : all) {
            assertEquals("alice", each.get().getUsername());
        }
        assertEquals(1, asked.size());
    }

    @Test
    void afterwardsItIsAskedAgain() {
        SignIn signIn = atOnce();
        signIn.getonConnectionDetails(server("", ""));
        signIn.getonConnectionDetails(server("", ""));
        assertEquals(2, asked.size());
    }

    @Test
    void aFailureIsFollowedByANewAttempt() {
        SignIn signIn = failing(new SignInFailed("The issuer is away."));
        SignInFailed first = refusal(signIn);
        assertEquals("The issuer is away.", first.toString());
        assertNotSame(first, refusal(signIn));
        assertEquals(2, asked.size());
    }

    @Test
    void aPersonWhoRefusedIsNotAskedAgainAtOnce() {
        SignIn signIn = failing(new SignInFailed("You are not signed in.", true));
        refusal(signIn);
        now.addAndGet(TimeUnit.SECONDS.toNanos(4));
        assertEquals("You are not signed in.", refusal(signIn).toString());
        assertEquals(1, asked.size());
        now.addAndGet(TimeUnit.SECONDS.toNanos(1));
        refusal(signIn);
        assertEquals(2, asked.size());
    }

    @Test
    void aRefusalConcernsOneProfile() {
        SignIn signIn = failing(new SignInFailed("You are not signed in.", true));
        refusal(signIn);
        System.setProperty("sessiond.profile", "other");
        refusal(signIn);
        assertEquals(List.of("", "other"), asked);
    }

    @Test
    void whoeverIsInterruptedWaitsNoLonger() throws Exception {
        CountDownLatch never = new CountDownLatch(1);
        SignIn signIn =
                new SignIn(
                        profile -> {
                            await(never);
                            return null;
                        },
                        now::get);
        Future<ConnectionDetails> asking =
                threads.submit(
                        () -> {
                            Thread.currentThread().interrupt();
                            return signIn.getonConnectionDetails(server("", ""));
                        });
        assertThrows(ExecutionException.class, asking::get);
    }

    private SignIn failing(SignInFailed failure) {
        return new SignIn(
                profile -> {
                    asked.add(profile);
                    throw failure;
                },
                now::get);
    }

    private static SignInFailed refusal(SignIn signIn) {
        return assertThrows(
                SignInFailed.class, () -> signIn.getonConnectionDetails(server("", "")));
    }

    private SignIn atOnce() {
        return new SignIn(
                profile -> {
                    asked.add(profile);
                    return Credentials.fromJson(FakeLogin.ANSWER);
                },
                now::get);
    }

    private static ConnectionDetails server(String user, String password) {
        return new ConnectionDetails(ADDRESS, 5010, "db", user, password);
    }

    private static void await(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException interrupted) {
            throw new SignInFailed("interrupted");
        }
    }
}
