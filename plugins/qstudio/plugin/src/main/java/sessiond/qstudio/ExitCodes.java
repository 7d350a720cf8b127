package sessiond.qstudio;

/** What the exit codes of sessiond-login (sysexits.h) mean to a person at qStudio. */
final class ExitCodes {
    private static final int CANNOT_KEEP = 73;
    private static final int NOT_SIGNED_IN = 77;

    private ExitCodes() {}

    /** Returns what happened and what to do, then what the program itself said, if anything. */
    static String sentence(int code, String lastWords) {
        return lastWords.isEmpty() ? meaning(code) : meaning(code) + " It said: " + lastWords;
    }

    /** Says whether a page was opened, which will be again at the next try. */
    static boolean personWasAsked(int code) {
        return code == CANNOT_KEEP || code == NOT_SIGNED_IN;
    }

    private static String meaning(int code) {
        switch (code) {
            case 64:
                return "sessiond-login does not understand this plugin:"
                        + " bring both to the same version.";
            case 69:
                return "The server that signs people in does not answer:"
                        + " check the network or VPN, then connect again.";
            case CANNOT_KEEP:
                return "You are signed in, but there is no place to keep it:"
                        + " see that your home directory can be written to.";
            case NOT_SIGNED_IN:
                return "You are not signed in: connect again and answer the page in your browser,"
                        + " or run sessiond-login in a terminal.";
            case 78:
                return "The profile of sessiond-login is missing or wrong:"
                        + " run sessiond-login profiles in a terminal.";
            default:
                return "sessiond-login failed (exit code " + code + ").";
        }
    }
}
