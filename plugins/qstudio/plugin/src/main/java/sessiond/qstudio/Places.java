package sessiond.qstudio;

import java.io.File;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.function.UnaryOperator;

/**
 * Where {@code sessiond-login} is. What a desktop starts has not the PATH of a shell, so the places
 * that pip, pipx and uv install into come first. Never the current directory: whoever can write
 * there would have the person sign in for him.
 */
final class Places {
    private static final String[] LINUX = {"~/.local/bin", "/usr/local/bin", "/usr/bin"};
    private static final String[] MAC = {
        "~/.local/bin", "~/Library/Python/3.*/bin", "/opt/homebrew/bin", "/usr/local/bin",
    };
    private static final String[] WINDOWS = {
        "~/.local/bin",
        "%APPDATA%/Python/Python3*/Scripts",
        "%LOCALAPPDATA%/Programs/Python/Python3*/Scripts",
        "%LOCALAPPDATA%/Packages/PythonSoftwareFoundation.Python.3*/LocalCache/local-packages"
                + "/Python3*/Scripts",
    };

    private final String system;
    private final UnaryOperator<String> property;
    private final UnaryOperator<String> environment;

    Places(String system, UnaryOperator<String> property, UnaryOperator<String> environment) {
        this.system = system.toLowerCase(Locale.ROOT);
        this.property = property;
        this.environment = environment;
    }

    static Places ofThisMachine() {
        return new Places(System.getProperty("os.name"), System::getProperty, System::getenv);
    }

    /**
     * Returns the absolute path of the program.
     *
     * @throws SignInFailed it is not there, or not where it was said to be
     */
    String find() {
        String named = property.apply("sessiond.login");
        if (named != null) {
            return checked(named, "-Dsessiond.login");
        }
        named = environment.apply("SESSIOND_LOGIN");
        if (named != null && !named.isEmpty()) {
            return checked(named, "SESSIOND_LOGIN");
        }
        for (File directory : directories()) {
            File program =
                    new File(directory, isWindows() ? "sessiond-login.exe" : "sessiond-login");
            if (isProgram(program)) {
                return program.getPath();
            }
        }
        throw new SignInFailed(
                "sessiond-login was not found. Install it,"
                        + " or say where it is: -Dsessiond.login=PATH.");
    }

    private String checked(String path, String by) {
        if (!isProgram(new File(path))) {
            String kind =
                    isWindows() ? "the absolute path of an .exe" : "the absolute path of a program";
            throw new SignInFailed(by + " is " + path + ", which is not " + kind + ".");
        }
        return path;
    }

    /** On Windows only what starts without a shell: no .bat, no .cmd. */
    private boolean isProgram(File file) {
        boolean starts = !isWindows() || file.getName().toLowerCase(Locale.ROOT).endsWith(".exe");
        return starts && file.isAbsolute() && file.isFile() && file.canExecute();
    }

    private List<File> directories() {
        List<File> directories = new ArrayList<>();
        for (String place : isWindows() ? WINDOWS : system.startsWith("mac") ? MAC : LINUX) {
            directories.addAll(expanded(place));
        }
        String path = environment.apply("PATH");
        for (String each : (path == null ? "" : path).split(isWindows() ? ";" : ":")) {
            directories.add(new File(each));
        }
        return directories;
    }

    /** The directories that a place of the lists above stands for, newest Python first. */
    private List<File> expanded(String place) {
        int slash = place.indexOf('/');
        String root = root(place.substring(0, slash));
        if (root == null) {
            return Collections.emptyList();
        }
        List<File> found = Collections.singletonList(new File(root));
        for (String step : place.substring(slash + 1).split("/")) {
            List<File> below = new ArrayList<>();
            for (File directory : found) {
                below.addAll(below(directory, step));
            }
            found = below;
        }
        return found;
    }

    private String root(String name) {
        switch (name) {
            case "":
                return "/";
            case "~":
                return property.apply("user.home");
            default:
                return environment.apply(name.replace("%", ""));
        }
    }

    private static List<File> below(File directory, String step) {
        if (!step.endsWith("*")) {
            return Collections.singletonList(new File(directory, step));
        }
        String begins = step.substring(0, step.length() - 1);
        File[] matching = directory.listFiles((in, name) -> name.startsWith(begins));
        List<File> newestFirst = Arrays.asList(matching == null ? new File[0] : matching);
        newestFirst.sort(Collections.reverseOrder());
        return newestFirst;
    }

    private boolean isWindows() {
        return system.startsWith("windows");
    }
}
