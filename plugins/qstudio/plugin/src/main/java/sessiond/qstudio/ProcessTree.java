package sessiond.qstudio;

import java.io.IOException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * Ends a program with its children, as a wrapper script leaves the real one behind. The browser
 * that it may have opened is the person's, and stays: on Linux it is in a session of its own, on
 * macOS nobody's child. On Windows the launchers of pip and uv take their interpreter along.
 *
 * <p>Only Java 9 knows a program's children; on Java 8 the program alone is ended.
 */
final class ProcessTree {
    private static final long GRACE_MILLIS = 1000;

    private ProcessTree() {}

    /** Ends a program that still runs: asked first, so that it can leave its lock and its port. */
    static void end(Process program) {
        if (!program.isAlive()) {
            return;
        }
        List<Object> children = childrenOf(program);
        program.destroy();
        try {
            program.waitFor(GRACE_MILLIS, TimeUnit.MILLISECONDS);
        } catch (InterruptedException cancelled) {
            Thread.currentThread().interrupt();
        }
        program.destroyForcibly();
        for (Object child : children) {
            call(child, "java.lang.ProcessHandle", "destroyForcibly");
        }
    }

    private static List<Object> childrenOf(Process program) {
        Object pid = call(program, "java.lang.Process", "pid");
        boolean windows =
                System.getProperty("os.name").toLowerCase(Locale.ROOT).startsWith("windows");
        if (pid == null || windows) {
            return Collections.emptyList();
        }
        String session = sessionOf(pid);
        List<Object> children = new ArrayList<>();
        ((Stream<?>) call(program, "java.lang.Process", "descendants"))
                .filter(
                        child ->
                                session.equals(
                                        sessionOf(call(child, "java.lang.ProcessHandle", "pid"))))
                .forEach(children::add);
        return children;
    }

    /** Returns the session of a process on Linux (proc(5), stat), elsewhere the same for all. */
    private static String sessionOf(Object pid) {
        try {
            byte[] stat = Files.readAllBytes(Paths.get("/proc", pid.toString(), "stat"));
            String afterName =
                    new String(stat, StandardCharsets.ISO_8859_1).replaceFirst("(?s).*\\) ", "");
            return afterName.split(" ")[3];
        } catch (IOException noSuchFile) {
            return "";
        }
    }

    private static Object call(Object on, String type, String name) {
        try {
            Method method = Class.forName(type).getMethod(name);
            return method.invoke(on);
        } catch (ReflectiveOperationException olderJava) {
            return null;
        }
    }
}
