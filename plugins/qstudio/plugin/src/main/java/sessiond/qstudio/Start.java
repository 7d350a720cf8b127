package sessiond.qstudio;

import java.io.File;

/** Starts qStudio with the server type of this plugin, as its {@code -Djdbc.} options would. */
public final class Start {
    private static final String URL = "jdbc:q:@HOST@:@PORT@";
    private static final String[][] OPTIONS = {
        {"jdbc.niceName", "Kdb with " + SignIn.NAME},
        {"jdbc.isKDB", "true"},
        {"jdbc.driver", "kx.jdbc"},
        {"jdbc.urlFormat", URL},
        // qStudio up to 3 reads false or true here, and this as false; later ones read the URL
        // here.
        {"jdbc.dbRequired", URL},
        // By name: the class is one of qStudio's kind, and cannot be loaded without it.
        {"jdbc.authenticator", "sessiond.qstudio.SignIn"},
    };

    private Start() {}

    public static void main(String[] args) throws ReflectiveOperationException {
        for (String[] option : OPTIONS) {
            if (System.getProperty(option[0]) == null) {
                System.setProperty(option[0], option[1]);
            }
        }
        Class<?> qStudio;
        try {
            qStudio = Class.forName("com.timestored.qstudio.QStudioLauncher");
        } catch (ClassNotFoundException absent) {
            System.err.println(
                    "sessiond-qstudio.jar: put it beside qstudio.jar, or start it with"
                            + " java -cp qstudio.jar"
                            + File.pathSeparator
                            + "sessiond-qstudio.jar "
                            + Start.class.getName());
            System.exit(1);
            return;
        }
        qStudio.getMethod("main", String[].class).invoke(null, (Object) args);
    }
}
