package sessiond.cdata;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

import java.io.DataInputStream;
import java.io.File;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.reflect.Method;
import java.net.URL;
import java.net.URLClassLoader;
import java.util.List;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.spi.ToolProvider;

/** The jar as it is given away. */
class PackagedJarIT {
    private static final int JAVA_17 = 61; // the class files' major version
    private static final File JAR = new File(System.getProperty("jar"));

    @Test
    void itNeedsNothingButJavasOwnBase() {
        StringWriter modules = new StringWriter();
        ToolProvider jdeps = ToolProvider.findFirst("jdeps").orElseThrow();
        PrintWriter out = new PrintWriter(modules);
        assertEquals(0, jdeps.run(out, out, "--print-module-deps", JAR.getPath()));
        assertEquals("java.base", modules.toString().strip());
    }

    @Test
    void itsClassesAreOfJava17AndOfThisPackage() throws IOException {
        try (JarFile jar = new JarFile(JAR)) {
            List<JarEntry> classes =
                    jar.stream().filter(each -> each.getName().endsWith(".class")).toList();
            assertNotEquals(0, classes.size());
            for (JarEntry each : classes) {
                assertTrue(each.getName().startsWith("sessiond/cdata/"), each.getName());
                try (DataInputStream content = new DataInputStream(jar.getInputStream(each))) {
                    content.skipBytes(6);
                    assertEquals(JAVA_17, content.readUnsignedShort(), each.getName());
                }
            }
        }
    }

    @Test
    void aDriverFindsWhatItLooksForByReflection() throws Exception {
        ClassLoader nothingElse = ClassLoader.getPlatformClassLoader();
        URL[] jar = {JAR.toURI().toURL()};
        try (URLClassLoader loader = new URLClassLoader(jar, nothingElse)) {
            Class<?> named = Class.forName("sessiond.cdata.TokenStoreFactory", true, loader);
            Object factory = named.getConstructor().newInstance();
            Object store =
                    factory.getClass()
                            .getMethod("getStore", String.class)
                            .invoke(factory, "externalToken://reports");
            assertEquals(String.class, method(store, "readToken", String.class).getReturnType());
            method(store, "writeToken", String.class, String.class);
            method(store, "acquireLock", String.class, int.class);
            method(store, "releaseLock", String.class).invoke(store, "oauth"); // holds none
        }
    }

    private static Method method(Object store, String name, Class<?>... takes)
            throws NoSuchMethodException {
        return store.getClass().getMethod(name, takes);
    }
}
