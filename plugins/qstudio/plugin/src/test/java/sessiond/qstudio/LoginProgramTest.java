package sessiond.qstudio;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;

@Timeout(60)
class LoginProgramTest {
    private static final long LONG = 50_000; // milliseconds
    @TempDir Path directory;

    @Test
    void whatItPrintsIsWhoIsSignedIn() throws IOException {
        Credentials found = login(LONG, FakeLogin.answer()).credentials("");
        assertEquals("alice", found.user);
        assertEquals(FakeLogin.PASSWORD, found.password);
    }

    @Test
    void itIsAskedForAnAnswerInJson() throws IOException {
        login(LONG, "echo \"$@\" > '" + directory + "/arguments'", FakeLogin.answer())
                .credentials("");
        assertEquals("token --json\n", Files.readString(directory.resolve("arguments")));
    }

    @Test
    void aProfileGoesBeforeTheCommand() throws IOException {
        login(LONG, "echo \"$@\" > '" + directory + "/arguments'", FakeLogin.answer())
                .credentials("uat-2");
        assertEquals(
                "--profile=uat-2 token --json\n", Files.readString(directory.resolve("arguments")));
    }

    @ParameterizedTest
    @ValueSource(strings = {"-h", "--show", "a b", "a;b", "a\"b", "../x", "é"})
    void whatIsNoNameOfAProfileIsNotPassedOn(String profile) throws IOException {
        assertThrows(
                SignInFailed.class, () -> login(LONG, FakeLogin.answer()).credentials(profile));
    }

    @ParameterizedTest
    @CsvSource({
        "64, does not understand, false",
        "69, does not answer, false",
        "73, no place to keep, true",
        "77, not signed in, true",
        "78, profile of sessiond-login, false",
        "1, exit code 1, false",
        "130, exit code 130, false",
    })
    void anExitCodeBecomesASentenceWithTheProgramsOwnWords(
            int code, String words, boolean personWasAsked) throws IOException {
        LoginProgram login = login(LONG, "echo 'sessiond-login: because' >&2", "exit " + code);
        SignInFailed failed = assertThrows(SignInFailed.class, () -> login.credentials(""));
        assertTrue(failed.toString().contains(words), failed.toString());
        assertTrue(failed.toString().endsWith(" sessiond-login: because"));
        assertEquals(personWasAsked, failed.personWasAsked);
    }

    @Test
    void aRefusedAnswerIsNotReadEvenWhereOneWasPrinted() throws IOException {
        LoginProgram login = login(LONG, FakeLogin.answer(), "exit 77");
        String message = assertThrows(SignInFailed.class, () -> login.credentials("")).toString();
        assertTrue(message.contains("not signed in"), message);
        assertFalse(message.contains("eyJ"), message);
    }

    @Test
    void nothingIsThereForItToRead() throws IOException {
        login(LONG, "read line && exit 64", FakeLogin.answer()).credentials("");
    }

    @Test
    void howeverMuchItSaysItIsHeardToTheEnd() throws IOException {
        login(LONG, "head -c 1000000 /dev/zero >&2", FakeLogin.answer()).credentials("");
    }

    @Test
    void oneThatPrintsWithoutEndIsStopped() throws IOException {
        LoginProgram login = login(LONG, "exec cat /dev/zero");
        String message = assertThrows(SignInFailed.class, () -> login.credentials("")).getMessage();
        assertTrue(message.contains("far more than an answer"), message);
    }

    @Test
    void theLongestAnswerIsRead() throws IOException {
        String token = "t".repeat(16 * 1024);
        Path answer = directory.resolve("answer");
        Files.writeString(
                answer,
                "{\"user\":\"a\",\"token\":\""
                        + token
                        + "\",\"refresh\":\""
                        + token.substring(1)
                        + "\",\"password\":\""
                        + token
                        + ";"
                        + token.substring(1)
                        + "\"}");
        assertEquals(
                32 * 1024, login(LONG, "cat '" + answer + "'").credentials("").password.length());
    }

    @Test
    void aSignInThatTakesTooLongIsEndedWithItsChildren() throws Exception {
        LoginProgram login =
                login(
                        1_000,
                        "sleep 1000 & echo $! > '" + directory + "/child'",
                        "wait",
                        "sleep 1000");
        String message = assertThrows(SignInFailed.class, () -> login.credentials("")).getMessage();
        assertTrue(message.startsWith("Nobody has signed in within 1 seconds"), message);
        ended(Long.parseLong(Files.readString(directory.resolve("child")).trim()));
    }

    @Test
    void oneThatWillNotEndIsKilled() throws Exception {
        LoginProgram login =
                login(500, "trap '' TERM", "echo $$ > '" + directory + "/program'", "sleep 1000");
        assertThrows(SignInFailed.class, () -> login.credentials(""));
        ended(Long.parseLong(Files.readString(directory.resolve("program")).trim()));
    }

    @Test
    void aBrowserThatItOpenedOutlivesIt() throws Exception {
        LoginProgram login =
                login(
                        1_000,
                        "setsid sleep 1000 & echo $! > '" + directory + "/browser'",
                        "sleep 1000");
        assertThrows(SignInFailed.class, () -> login.credentials(""));
        ProcessHandle browser =
                ProcessHandle.of(
                                Long.parseLong(
                                        Files.readString(directory.resolve("browser")).trim()))
                        .orElseThrow();
        assertTrue(browser.isAlive());
        browser.destroyForcibly();
    }

    @Test
    void aBrowserThatHoldsItsPipesHoldsNobodyUp() throws Exception {
        LoginProgram login =
                login(
                        LONG,
                        "setsid sleep 1000 & echo $! > '" + directory + "/browser'",
                        FakeLogin.answer());
        assertEquals("alice", login.credentials("").user);
        ProcessHandle.of(Long.parseLong(Files.readString(directory.resolve("browser")).trim()))
                .orElseThrow()
                .destroyForcibly();
    }

    @Test
    void whoeverIsInterruptedEndsTheSignIn() throws Exception {
        LoginProgram login =
                login(LONG, "echo $$ > '" + directory + "/program'", "exec sleep 1000");
        Thread asking =
                new Thread(() -> assertThrows(SignInFailed.class, () -> login.credentials("")));
        asking.start();
        Path program = directory.resolve("program");
        while (!Files.exists(program) || Files.size(program) == 0) {
            Thread.onSpinWait();
        }
        asking.interrupt();
        asking.join();
        ended(Long.parseLong(Files.readString(program).trim()));
    }

    @Test
    void nobodyIsLeftToSignInWhereQStudioIsClosed() throws Exception {
        Path running = directory.resolve("program");
        Path login = FakeLogin.that(directory, "echo $$ > '" + running + "'", "exec sleep 1000");
        Process closed =
                new ProcessBuilder(
                                System.getProperty("java.home") + "/bin/java",
                                "-cp",
                                System.getProperty("java.class.path"),
                                "-Dsessiond.login=" + login,
                                ClosedMeanwhile.class.getName(),
                                running.toString())
                        .inheritIO()
                        .start();
        assertEquals(0, closed.waitFor());
        long pid = Long.parseLong(Files.readString(running).trim());
        assertTrue(ProcessHandle.of(pid).filter(ProcessHandle::isAlive).isEmpty());
    }

    @Test
    void oneThatCannotBeRunIsSaid() throws IOException {
        Path program = FakeLogin.that(directory, "");
        Files.writeString(program, "#!/nowhere/python\n");
        LoginProgram login = new LoginProgram(named(program), LONG);
        String message = assertThrows(SignInFailed.class, () -> login.credentials("")).getMessage();
        assertTrue(message.startsWith("sessiond-login cannot be run"), message);
    }

    private LoginProgram login(long limitMillis, String... lines) throws IOException {
        return new LoginProgram(named(FakeLogin.that(directory, lines)), limitMillis);
    }

    private static Places named(Path program) {
        return new Places("Linux", Map.of("sessiond.login", program.toString())::get, name -> null);
    }

    private static void ended(long pid) throws Exception {
        Optional<ProcessHandle> left = ProcessHandle.of(pid);
        if (left.isPresent()) {
            left.get().onExit().get();
        }
    }
}
