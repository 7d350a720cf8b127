package sessiond.cdata;

import java.io.IOException;

/** The daemon answered, and not with what was asked for. */
final class Refused extends IOException {
    private static final long serialVersionUID = 1L;
    private static final int TOO_MANY = 429;
    private static final int UNAVAILABLE = 503;

    /** The HTTP status (RFC 9110, 15). */
    final int status;

    Refused(Answer answer) {
        super("the answer was " + answer.status() + ": " + answer.detail());
        this.status = answer.status();
    }

    /** Says whether the same may be answered in a moment: it is stopping, or has too much to do. */
    boolean isPassing() {
        return status == TOO_MANY || status == UNAVAILABLE;
    }

    /** Returns what somebody has to do about it, as the end of a sentence. */
    String advice() {
        return switch (status) {
            case 400 -> "see that context and token name are 1 to 256 printable characters";
            case 403 ->
                    "have who runs sessiond look at [stores] users, the readers of a source, and who"
                            + " owns the context";
            case 404 -> "have who runs sessiond configure [stores], in a version that has it";
            case 413 -> "store less than 64 KiB";
            case 429 -> "ask less often, or over fewer connections";
            case 507 -> "have who runs sessiond make room: [stores] max_contexts";
            default -> "look at sessiond's log";
        };
    }
}
