package sessiond.cdata;

import java.io.IOException;

/**
 * A request was sent, and its connection ended before its answer: nobody knows what became of it.
 */
final class AnswerLost extends IOException {
    private static final long serialVersionUID = 1L;

    AnswerLost(String message) {
        super(message);
    }

    AnswerLost(String message, Throwable cause) {
        super(message, cause);
    }
}
