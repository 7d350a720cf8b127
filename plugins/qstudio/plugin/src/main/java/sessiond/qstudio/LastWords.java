package sessiond.qstudio;

import java.util.regex.Pattern;

/** What a program said last, fit for a dialog of qStudio. */
final class LastWords {
    private static final int LINES = 3;
    private static final int CHARACTERS = 600;
    private static final Pattern COLOURS = Pattern.compile("\u001b\\[[0-9;?]*[A-Za-z]");
    // qStudio shows some messages as HTML, which Swing would fetch pictures for.
    private static final Pattern UNFIT = Pattern.compile("[^\\x20-\\x7e\\u00a0-\\ud7ff]|[<>&]");
    // sessiond-login says no token; should it ever, no word of this length is for a person.
    private static final Pattern LONG = Pattern.compile("[A-Za-z0-9_.~+=;!*$-]{40,}|eyJ\\S{16,}");

    private LastWords() {}

    static String of(String said) {
        String[] lines = COLOURS.matcher(said).replaceAll("").trim().split("\\R+");
        StringBuilder last = new StringBuilder();
        for (int i = Math.max(0, lines.length - LINES); i < lines.length; i++) {
            last.append(last.length() > 0 ? " " : "").append(lines[i].trim());
        }
        String hidden = LONG.matcher(last).replaceAll("(hidden)");
        String fit = UNFIT.matcher(hidden).replaceAll("?");
        return fit.length() <= CHARACTERS ? fit : fit.substring(fit.length() - CHARACTERS);
    }
}
