package sessiond.qstudio;

/** What the exit codes of sessiond-login (sysexits.h) mean to a person at qStudio. */
final class ExitCodes {
    private static final int CANNOT_KEEP = 73;
    private static final int NOT_SIGNED_IN = 77;

    private ExitCodes() {}

    /** Returns what happened and what to do: in the program's own words, where it said any. */
    static String sentence(int code, String lastWords) {
        return happened(code) + " " + (lastWords.isEmpty() ? advice(code) : lastWords);
    }

    /** Says whether a page was opened, which will be again at the next try. */
    static boolean personWasAsked(int code) {
        return code == CANNOT_KEEP || code == NOT_SIGNED_IN;
    }

    private static String happened(int code) {
        switch (code) {
            case 64:
                return "sessiond-login does not understand this plugin.";
            case 69:
                return "The server that signs people in does not answer.";
            case CANNOT_KEEP:
                return "You signed in, and there is no place to keep it.";
            case NOT_SIGNED_IN:
                return "You are not signed in.";
            case 78:
                return "The profile of sessiond-login is missing or wrong.";
            default:
                return "sessiond-login failed (exit code " + code + ").";
        }
    }

    private static String advice(int code) {
        switch (code) {
            case 64:
                return "Bring both to the same version.";
            case 69:
                return "Check the network or VPN, then connect again.";
            case CANNOT_KEEP:
                return "See that your home directory can be written to.";
            case NOT_SIGNED_IN:
                return "Connect again and answer the page in your browser.";
            case 78:
                return "Run sessiond-login profiles in a terminal.";
            default:
                return "Run it in a terminal, to see why.";
        }
    }
}
