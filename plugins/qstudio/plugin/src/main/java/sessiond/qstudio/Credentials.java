package sessiond.qstudio;

import java.util.Map;

/** A user and the tokens that go to q in the place of a password. */
final class Credentials {
    private static final int MAX_USER = 256; // characters, as sessiond's own limit for names
    private static final int MAX_PASSWORD = 32 * 1024; // characters, as sessiond's limit

    final String user;
    final String password;

    private Credentials(String user, String password) {
        this.user = user;
        this.password = password;
    }

    /**
     * Returns what {@code sessiond-login token --json} printed.
     *
     * @throws SignInFailed what was printed is something else
     */
    static Credentials fromJson(String printed) {
        Map<String, Object> members;
        try {
            members = FlatJson.read(printed);
        } catch (IllegalArgumentException notJson) {
            throw unusable("no JSON object: " + notJson.getMessage());
        }
        String user = text(members, "user", ' ', MAX_USER); // "CORP\\Alice Doe" is one
        if (user.indexOf(':') >= 0) {
            throw unusable("a user with a colon, which kdb+ would end the name at");
        }
        return new Credentials(user, text(members, "password", '!', MAX_PASSWORD));
    }

    /** Returns a text of ASCII characters from {@code lowest} on. */
    private static String text(Map<String, Object> members, String name, char lowest, int most) {
        Object value = members.get(name);
        if (!(value instanceof String)) {
            throw unusable("no text as " + name);
        }
        String text = (String) value;
        // kdb+ takes the pair up to a NUL, and in ISO 8859-1.
        if (text.isEmpty()
                || text.length() > most
                || !text.chars().allMatch(c -> c >= lowest && c < 127)) {
            throw unusable(name + " is not 1 to " + most + " printable ASCII characters");
        }
        return text;
    }

    private static SignInFailed unusable(String what) {
        return new SignInFailed(
                "sessiond-login printed what this plugin cannot use ("
                        + what
                        + "). "
                        + "Bring sessiond-login and the plugin to the same version.");
    }

    /** Nothing secret. */
    @Override
    public String toString() {
        return "credentials of " + user;
    }
}
