package sessiond.qstudio;

import com.timestored.plugins.ConnectionDetails;
import com.timestored.plugins.DatabaseAuthenticationService;

import java.util.Locale;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.function.LongSupplier;

/**
 * Logs in to kdb+ as whoever signs in in the browser: {@code sessiond-login} has the tokens, or
 * gets them.
 *
 * <p>qStudio asks before each new connection, from several threads, and partly inside the lock of
 * all its connections. Those that ask while a sign-in is under way get what that one brings, and
 * those that ask just after one that the person refused get that refusal: qStudio opens some ten
 * connections for one new server, which would be as many pages in the browser.
 */
public final class SignIn implements DatabaseAuthenticationService {
    static final String NAME = "sessiond";

    private final TokenSource tokens;
    private final LongSupplier nanoTime;
    private final ConcurrentMap<String, Attempt> attempts = new ConcurrentHashMap<>();

    public SignIn() {
        this(new LoginProgram(), System::nanoTime);
    }

    SignIn(TokenSource tokens, LongSupplier nanoTime) {
        this.tokens = tokens;
        this.nanoTime = nanoTime;
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
        Attempt mine = new Attempt(() -> tokens.credentials(profile), nanoTime);
        Attempt answering =
                attempts.compute(
                        profile, (name, last) -> last != null && last.answers() ? last : mine);
        if (answering == mine) {
            mine.make();
            if (!mine.answers()) {
                attempts.remove(profile, mine);
            }
        }
        return answering.outcome();
    }
}
