package sessiond.cdata;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.net.ProtocolException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Path;

/** Says in words what went wrong, and what to do about it. */
final class Failures {
    private Failures() {}

    /**
     * Returns what the driver is told.
     *
     * @param call the method's name
     * @param key what it was about
     * @param socket where the daemon was looked for
     */
    static TokenStoreException of(String call, Key key, Path socket, IOException seen) {
        String what = call + " of " + key + ", sessiond at " + socket + ": ";
        return new TokenStoreException(what + words(seen) + "; " + advice(seen), seen);
    }

    private static String words(IOException seen) {
        return seen instanceof CharacterCodingException
                ? "its name or its value is no text in UTF-8"
                : seen.getMessage();
    }

    private static String advice(IOException seen) {
        if (seen instanceof Unreachable) {
            return "see that sessiond runs, that this is its listen.control (else set the system"
                    + " property sessiond.control), and that this user may open it";
        }
        if (seen instanceof Refused refused) {
            return refused.advice();
        }
        if (seen instanceof InterruptedIOException) {
            return "nothing is held, ask again";
        }
        if (seen instanceof CharacterCodingException) {
            return "see that nothing cuts characters in half, and what else writes there";
        }
        if (seen instanceof ProtocolException) {
            return "see that it is sessiond that listens there";
        }
        return "read the token again, and look at sessiond's log";
    }
}
