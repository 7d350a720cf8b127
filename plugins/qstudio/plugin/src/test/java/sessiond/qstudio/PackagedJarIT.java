package sessiond.qstudio;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.timestored.plugins.ConnectionDetails;
import com.timestored.plugins.DatabaseAuthenticationService;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import java.io.DataInputStream;
import java.io.IOException;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;

/** The jar as qStudio has it: beside classes of its own, found and called by their names alone. */
@Timeout(60)
class PackagedJarIT {
    private static final Path JAR = Path.of(System.getProperty("jar"));
    private static final int JAVA_8 = 52; // JVM specification, table 4.1-A

    @TempDir Path directory;
    private URLClassLoader ofQStudio;
    private URLClassLoader ofPlugin;

    @BeforeEach
    void loaders() throws IOException {
        URL stubs = ConnectionDetails.class.getProtectionDomain().getCodeSource().getLocation();
        ofQStudio = new URLClassLoader(new URL[] {stubs}, ClassLoader.getPlatformClassLoader());
        ofPlugin = new URLClassLoader(new URL[] {JAR.toUri().toURL()}, ofQStudio);
    }

    @AfterEach
    void asBefore() throws IOException {
        System.clearProperty("sessiond.login");
        ofPlugin.close();
        ofQStudio.close();
    }

    @Test
    void itHasNothingButThePluginForJava8() throws IOException {
        try (JarFile jar = new JarFile(JAR.toFile())) {
            for (JarEntry entry : classes(jar)) {
                assertTrue(entry.getName().startsWith("sessiond/qstudio/"), entry.getName());
                try (DataInputStream read = new DataInputStream(jar.getInputStream(entry))) {
                    read.skipBytes(6);
                    assertEquals(JAVA_8, read.readUnsignedShort(), entry.getName());
                }
            }
            assertTrue(classes(jar).size() >= 8);
        }
    }

    @Test
    void qStudioFindsOnePluginAmongItsClasses() throws Exception {
        List<Object> plugins = plugins();
        assertEquals(1, plugins.size());
        assertEquals("sessiond.qstudio.SignIn", plugins.get(0).getClass().getCanonicalName());
        assertEquals("sessiond", called(plugins.get(0), "getName"));
    }

    @Test
    void qStudioGetsTheLoginOfWhoeverIsSignedIn() throws Exception {
        use(FakeLogin.answer());
        Object details = asked(plugins().get(0));
        assertEquals("gw1", called(details, "getHost"));
        assertEquals(5010, called(details, "getPort"));
        assertEquals("alice", called(details, "getUsername"));
        assertEquals(FakeLogin.PASSWORD, called(details, "getPassword"));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "echo x; exit 64 | sessiond-login does not understand",
                "exit 69 | The server that signs people in",
                "exit 73 | You signed in, and there is no place",
                "exit 77 | You are not signed in",
                "exit 78 | The profile of sessiond-login",
                "kill -9 $$ | sessiond-login failed",
                "echo Signed in. | sessiond-login printed what",
                "true | sessiond-login printed what",
                "exec cat /dev/zero | What runs as sessiond-login",
            })
    void qStudioShowsAFailureAsASentence(String line, String begins) throws Exception {
        use(line);
        Object plugin = plugins().get(0);
        InvocationTargetException thrown = null;
        try {
            asked(plugin);
        } catch (InvocationTargetException failed) {
            thrown = failed;
        }
        String shown = assertInstanceOf(RuntimeException.class, thrown.getCause()).toString();
        assertTrue(shown.startsWith(begins), shown);
    }

    @Test
    void startedAloneItSaysWhereItBelongs() throws Exception {
        String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        Process alone =
                new ProcessBuilder(java, "-jar", JAR.toString()).redirectErrorStream(true).start();
        String said = new String(alone.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertEquals(1, alone.waitFor());
        assertTrue(said.contains("sessiond-qstudio.jar: put it beside qstudio.jar"), said);
        assertFalse(said.contains("Exception"), said);
    }

    /** Tries the classes as qStudio's DynamicClassLoader does. */
    private List<Object> plugins() throws Exception {
        Class<?> wanted = ofQStudio.loadClass(DatabaseAuthenticationService.class.getName());
        List<Object> found = new ArrayList<>();
        try (JarFile jar = new JarFile(JAR.toFile())) {
            for (JarEntry entry : classes(jar)) {
                String name = entry.getName();
                Class<?> each =
                        ofPlugin.loadClass(name.substring(0, name.indexOf('.')).replace('/', '.'));
                if (List.of(each.getInterfaces()).contains(wanted)) {
                    found.add(each.getConstructor().newInstance());
                }
            }
        }
        return found;
    }

    private Object asked(Object plugin) throws Exception {
        Class<?> details = ofQStudio.loadClass(ConnectionDetails.class.getName());
        Constructor<?> server =
                details.getConstructor(
                        String.class, int.class, String.class, String.class, String.class);
        return plugin.getClass()
                .getMethod("getonConnectionDetails", details)
                .invoke(plugin, server.newInstance("gw1", 5010, "", "typed", ""));
    }

    private static Object called(Object on, String name) throws Exception {
        return on.getClass().getMethod(name).invoke(on);
    }

    private void use(String line) throws IOException {
        System.setProperty("sessiond.login", FakeLogin.that(directory, line).toString());
    }

    private static List<JarEntry> classes(JarFile jar) {
        return jar.stream().filter(entry -> entry.getName().endsWith(".class")).toList();
    }
}
