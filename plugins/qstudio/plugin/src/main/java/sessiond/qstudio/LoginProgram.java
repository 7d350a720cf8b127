package sessiond.qstudio;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;

/** {@code sessiond-login}, run as a child that prints its answer into a pipe. */
final class LoginProgram implements TokenSource {
    private static final long LIMIT_MILLIS = TimeUnit.SECONDS.toMillis(180);
    private static final Pattern PROFILE = Pattern.compile("[A-Za-z0-9_][A-Za-z0-9._-]{0,63}");

    private final Places places;
    private final long limitMillis;

    LoginProgram() {
        this(Places.ofThisMachine(), LIMIT_MILLIS);
    }

    LoginProgram(Places places, long limitMillis) {
        this.places = places;
        this.limitMillis = limitMillis;
    }

    @Override
    public Credentials credentials(String profile) {
        Child login = run(command(profile));
        if (!login.inTime) {
            throw new SignInFailed(
                    "Nobody has signed in within "
                            + limitMillis / 1000
                            + " seconds."
                            + " Connect again, and answer the page in your browser.",
                    true);
        }
        if (login.tooMuch) {
            throw new SignInFailed(
                    "What runs as sessiond-login printed far more than an answer, and was"
                            + " stopped.");
        }
        if (login.exitCode != 0) {
            throw new SignInFailed(
                    ExitCodes.sentence(login.exitCode, login.lastWords),
                    ExitCodes.personWasAsked(login.exitCode));
        }
        return Credentials.fromJson(login.printed);
    }

    private Child run(List<String> command) {
        try {
            return Child.run(command, limitMillis);
        } catch (IOException cannotRun) {
            throw new SignInFailed("sessiond-login cannot be run: " + cannotRun.getMessage());
        } catch (InterruptedException cancelled) {
            Thread.currentThread().interrupt();
            throw new SignInFailed("The sign-in was cancelled.");
        }
    }

    private List<String> command(String profile) {
        List<String> command = new ArrayList<>();
        command.add(places.find());
        if (!profile.isEmpty()) {
            if (!PROFILE.matcher(profile).matches()) {
                throw new SignInFailed(
                        "-Dsessiond.profile is no name of a profile: letters, digits, . _ and -");
            }
            command.add("--profile=" + profile);
        }
        command.add("token");
        command.add("--json");
        return command;
    }
}
