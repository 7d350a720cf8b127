package sessiond.cdata;

import java.io.IOException;

/** A request was sent, and no answer came in time; asking again would take as long again. */
final class TimedOut extends IOException {
    private static final long serialVersionUID = 1L;

    TimedOut(String message) {
        super(message);
    }
}
