package sessiond.cdata;

import java.nio.file.Path;

/** Where sessiond's control socket is on this machine. */
final class ControlSocket {
    static final String PROPERTY = "sessiond.control";
    static final String VARIABLE = "SESSIOND_CONTROL";
    static final String USUAL = "/run/sessiond/control.sock";

    private ControlSocket() {}

    /**
     * Returns the system property's, else the environment's, else the usual path; empty is unset.
     */
    static Path path() {
        return path(System.getProperty(PROPERTY), System.getenv(VARIABLE));
    }

    static Path path(String property, String variable) {
        for (String each : new String[] {property, variable}) {
            if (each != null && !each.isEmpty()) {
                return Path.of(each).toAbsolutePath();
            }
        }
        return Path.of(USUAL);
    }
}
