package sessiond.qstudio;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.timestored.qstudio.QStudioLauncher;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

class StartTest {
    @AfterEach
    void asBefore() {
        System.getProperties().keySet().removeIf(key -> key.toString().startsWith("jdbc."));
    }

    @Test
    void qStudioIsStartedWithTheServerType() throws Exception {
        Start.main(new String[] {"a.q", "b.q"});
        assertEquals(List.of("a.q", "b.q"), QStudioLauncher.arguments);
        assertEquals("sessiond.qstudio.SignIn", options().get("jdbc.authenticator"));
        assertEquals("Kdb with sessiond", options().get("jdbc.niceName"));
        assertEquals("true", options().get("jdbc.isKDB"));
    }

    @Test
    void whatIsReadAsTheUrlOrAsFalseIsBoth() throws Exception {
        Start.main(new String[0]);
        assertEquals(options().get("jdbc.urlFormat"), options().get("jdbc.dbRequired"));
        assertEquals(false, Boolean.parseBoolean(options().get("jdbc.dbRequired")));
    }

    @Test
    void anOptionThatWasGivenStays() throws Exception {
        System.setProperty("jdbc.niceName", "Our kdb+");
        Start.main(new String[0]);
        assertEquals("Our kdb+", options().get("jdbc.niceName"));
    }

    @Test
    void theGuideSaysTheSameOptions() throws Exception {
        Start.main(new String[0]);
        String guide = guide();
        options().forEach((name, value) -> assertTrue(guide.contains(said(name, value)), name));
        assertEquals(6, options().size());
    }

    private static String said(String name, String value) {
        return "-D" + name + "=" + (value.contains(" ") ? "\"" + value + "\"" : value) + " ";
    }

    private static String guide() throws IOException {
        return Files.readString(Path.of("../README.md")); // Maven runs tests in their module
    }

    private static Map<String, String> options() {
        Map<String, String> options = new TreeMap<>();
        for (String name : QStudioLauncher.properties.stringPropertyNames()) {
            if (name.startsWith("jdbc.")) {
                options.put(name, QStudioLauncher.properties.getProperty(name));
            }
        }
        return options;
    }
}
