package sessiond.qstudio;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;

/** Programs that stand in for sessiond-login: scripts, as any program is to the plugin. */
final class FakeLogin {
    static final String TOKEN =
            "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlc2lnbmF0dXJl";
    static final String PASSWORD = TOKEN + ";refresh-token-of-alice";
    static final String ANSWER =
            "{\"user\": \"alice\", \"token\": \""
                    + TOKEN
                    + "\", \"refresh\": \"\","
                    + " \"password\": \""
                    + PASSWORD
                    + "\", \"expires\": 1800000000}";

    private FakeLogin() {}

    /** Returns the path of a program that runs these lines. */
    static Path that(Path directory, String... lines) throws IOException {
        Path program = directory.resolve("sessiond-login");
        Files.writeString(program, "#!/bin/sh\n" + String.join("\n", lines) + "\n");
        Files.setPosixFilePermissions(program, PosixFilePermissions.fromString("rwx------"));
        return program;
    }

    /** Returns a line of such a program that prints a good answer. */
    static String answer() {
        return "echo '" + ANSWER + "'";
    }
}
