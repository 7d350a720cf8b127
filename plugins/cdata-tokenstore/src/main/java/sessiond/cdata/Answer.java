package sessiond.cdata;

import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * One whole answer.
 *
 * @param status RFC 9110, 15
 * @param body its bytes, not to be changed; empty where it had none
 * @param endsConnection whether no further request may follow
 */
record Answer(int status, byte[] body, boolean endsConnection) {
    private static final int LONGEST_DETAIL = 300; // characters
    private static final Pattern DETAIL =
            Pattern.compile("\"detail\"\\s*:\\s*\"((?:[^\"\\\\]|\\\\.)*+)\"");
    private static final Pattern FENCE =
            Pattern.compile("\"fence\"\\s*:\\s*(0|[1-9][0-9]{0,15})\\s*[,}]");

    boolean isSuccess() {
        return status / 100 == 2;
    }

    /**
     * Returns why the daemon said no, in its own words, on one line: the {@code detail} of a
     * problem (RFC 9457, 3.1.4). An answer that is none is not quoted, since it might be a token.
     */
    String detail() {
        Matcher problem = DETAIL.matcher(text());
        if (!problem.find()) {
            return "it does not say why";
        }
        String words = problem.group(1).replaceAll("\\\\(.)", "$1").replaceAll("\\p{Cntrl}", " ");
        return words.length() <= LONGEST_DETAIL ? words : words.substring(0, LONGEST_DETAIL) + "…";
    }

    /** Returns the fence of the lock that was given, or -1 where there is none in the answer. */
    long fence() {
        Matcher given = FENCE.matcher(text());
        return given.find() ? Long.parseLong(given.group(1)) : -1;
    }

    private String text() {
        return new String(body, StandardCharsets.UTF_8);
    }
}
