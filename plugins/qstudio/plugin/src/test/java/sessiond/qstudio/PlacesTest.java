package sessiond.qstudio;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.HashMap;
import java.util.Map;

class PlacesTest {
    @TempDir Path home;
    private final Map<String, String> properties = new HashMap<>();
    private final Map<String, String> environment = new HashMap<>();

    @BeforeEach
    void aPersonsMachine() {
        properties.put("user.home", home.toString());
        environment.put("APPDATA", home.resolve("AppData/Roaming").toString());
        environment.put("LOCALAPPDATA", home.resolve("AppData/Local").toString());
    }

    @ParameterizedTest
    @CsvSource({
        "Linux, .local/bin/sessiond-login",
        "Mac OS X, .local/bin/sessiond-login",
        "Mac OS X, Library/Python/3.12/bin/sessiond-login",
        "Windows 11, .local/bin/sessiond-login.exe",
        "Windows 11, AppData/Roaming/Python/Python312/Scripts/sessiond-login.exe",
        "Windows 11, AppData/Local/Programs/Python/Python312/Scripts/sessiond-login.exe",
        "Windows 11, AppData/Local/Packages/PythonSoftwareFoundation.Python.3.12_qbz5n2kfra8p0"
                + "/LocalCache/local-packages/Python312/Scripts/sessiond-login.exe",
    })
    void itIsFoundWhereItIsInstalled(String system, String path) throws IOException {
        String program = program(path);
        assertEquals(program, on(system).find());
    }

    @Test
    void theNewestPythonsIsTaken() throws IOException {
        program("AppData/Roaming/Python/Python311/Scripts/sessiond-login.exe");
        String newest = program("AppData/Roaming/Python/Python313/Scripts/sessiond-login.exe");
        program("AppData/Roaming/Python/Python312/Scripts/sessiond-login.exe");
        assertEquals(newest, on("Windows 10").find());
    }

    @ParameterizedTest
    @CsvSource({"Linux, :, sessiond-login", "Windows 11, ;, sessiond-login.exe"})
    void itIsFoundOnThePath(String system, String separator, String name) throws IOException {
        String program = program("tools/" + name);
        environment.put("PATH", "/nowhere" + separator + home.resolve("tools"));
        assertEquals(program, on(system).find());
    }

    @Test
    void thePropertyGoesBeforeTheEnvironmentAndThatBeforeAnyPlace() throws IOException {
        program(".local/bin/sessiond-login");
        environment.put("SESSIOND_LOGIN", program("second"));
        assertEquals(home.resolve("second").toString(), on("Linux").find());
        properties.put("sessiond.login", program("first"));
        assertEquals(home.resolve("first").toString(), on("Linux").find());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"", "/nowhere/sessiond-login", "sessiond-login", "./sessiond-login", "/tmp"})
    void whatIsNamedAndIsNoProgramIsNotPassedOver(String named) throws IOException {
        program(".local/bin/sessiond-login");
        properties.put("sessiond.login", named);
        String message = assertThrows(SignInFailed.class, on("Linux")::find).getMessage();
        assertTrue(message.startsWith("-Dsessiond.login is " + named), message);
    }

    @Test
    void nothingIsStartedThroughAShellOfWindows() throws IOException {
        properties.put("sessiond.login", program("sessiond-login.cmd"));
        assertThrows(SignInFailed.class, on("Windows 11")::find);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", ".", ":", "bin", "./bin:", ".:bin"})
    void theCurrentDirectoryIsNeverSearched(String path) throws IOException {
        Path here = Path.of("sessiond-login").toAbsolutePath();
        Files.createFile(
                here,
                PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        try {
            environment.put("PATH", path);
            assertThrows(SignInFailed.class, on("Linux")::find);
        } finally {
            Files.delete(here);
        }
    }

    @Test
    void whatMayNotBeRunIsNotFound() throws IOException {
        Path program = Path.of(program(".local/bin/sessiond-login"));
        Files.setPosixFilePermissions(program, PosixFilePermissions.fromString("rw-------"));
        assertThrows(SignInFailed.class, on("Linux")::find);
    }

    @Test
    void whoHasNoneIsToldWhatToDo() {
        String message = assertThrows(SignInFailed.class, on("Windows 11")::find).getMessage();
        assertTrue(message.contains("Install it"), message);
        assertTrue(message.contains("-Dsessiond.login="), message);
    }

    private Places on(String system) {
        return new Places(system, properties::get, environment::get);
    }

    private String program(String path) throws IOException {
        Path program = home.resolve(path);
        Files.createDirectories(program.getParent());
        Files.createFile(program);
        Files.setPosixFilePermissions(program, PosixFilePermissions.fromString("rwx------"));
        return program.toString();
    }
}
