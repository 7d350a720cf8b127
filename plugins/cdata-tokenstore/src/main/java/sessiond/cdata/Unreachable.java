package sessiond.cdata;

import java.io.IOException;

/** The daemon has seen nothing of a request: it may be sent again. */
final class Unreachable extends IOException {
    private static final long serialVersionUID = 1L;

    Unreachable(String message, Throwable cause) {
        super(message, cause);
    }
}
