package sessiond.qstudio;

import com.timestored.plugins.ConnectionDetails;
import com.timestored.plugins.DatabaseAuthenticationService;

import java.util.Locale;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;

/**
 * Logs in to kdb+ as whoever signs in in the browser: {@code sessiond-login} has the tokens, or
 * gets them.
 *
 * <p>qStudio asks before each new connection, from several threads, and partly inside the lock of
 * all its connections. Those that ask while a sign-in is under way get what that one brings.
 */
public final class SignIn implements DatabaseAuthenticationService {
    static final String NAME = "sessiond";

    private final TokenSource tokens;
    private final ConcurrentMap<String, FutureTask<Credentials>> underWay =
            new ConcurrentHashMap<>();

    public SignIn() {
        this(new LoginProgram());
    }

    SignIn(TokenSource tokens) {
        this.tokens = tokens;
    }

    @Override
    public String getName() {
        return NAME;
    }

    /**
     * Returns the server with the user and password of whoever is signed in, whatever was typed.
     *
     * @throws SignInFailed nobody is signed in; qStudio shows the message
     */
    @Override
    public ConnectionDetails getonConnectionDetails(ConnectionDetails asEntered) {
        Credentials found = shared(profileOf(asEntered.getHost(), asEntered.getPort()));
        return new ConnectionDetails(
                asEntered.getHost(),
                asEntered.getPort(),
                asEntered.getDatabase(),
                found.user,
                found.password);
    }

    /** The profile by the server's address, else the one for all, else "": sessiond-login's own. */
    private static String profileOf(String host, int port) {
        String server = "sessiond.profile." + String.valueOf(host).toLowerCase(Locale.ROOT);
        String forAll = System.getProperty("sessiond.profile", "");
        return System.getProperty(server + ":" + port, System.getProperty(server, forAll));
    }

    private Credentials shared(String profile) {
        FutureTask<Credentials> mine = new FutureTask<>(() -> tokens.credentials(profile));
        FutureTask<Credentials> first = underWay.putIfAbsent(profile, mine);
        if (first != null) {
            return outcome(first);
        }
        try {
            mine.run();
            return outcome(mine);
        } finally {
            underWay.remove(profile, mine);
        }
    }

    private static Credentials outcome(FutureTask<Credentials> task) {
        try {
            return task.get();
        } catch (InterruptedException cancelled) {
            Thread.currentThread().interrupt();
            throw new SignInFailed("The sign-in was cancelled.");
        } catch (ExecutionException failed) {
            Throwable cause = failed.getCause();
            if (cause instanceof SignInFailed) {
                throw new SignInFailed(cause.getMessage());
            }
            throw new IllegalStateException(cause);
        }
    }
}
