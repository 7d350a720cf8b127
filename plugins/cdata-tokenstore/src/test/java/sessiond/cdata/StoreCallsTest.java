package sessiond.cdata;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.nio.file.Path;

@Timeout(60)
class StoreCallsTest {
    private static final Key KEY = new Key("reports", "oauth");
    @TempDir Path directory;
    private final Deadline deadline = Deadline.steady(50_000);
    private ScriptedServer server;
    private StoreCalls calls;

    @BeforeEach
    void start() throws IOException {
        server = new ScriptedServer(directory);
        calls = new StoreCalls(new Connections(server.socket));
    }

    @AfterEach
    void stop() throws IOException {
        server.close();
    }

    @Test
    void aDeadFenceWritesNothingAndHasNothingToRelease() throws IOException {
        server.thenProblem(409, "dead").thenProblem(409, "dead");
        assertFalse(calls.write(KEY, new byte[1], 7, deadline));
        calls.unlock(KEY, 7, deadline);
    }

    @Test
    void noValueIsNoErrorButNoStoreIsOneForWhoeverWantsALock() throws IOException {
        server.thenProblem(404, "none").thenProblem(404, "no stores");
        assertNull(calls.read(KEY, deadline));
        assertEquals(404, assertThrows(Refused.class, () -> calls.lock(KEY, 1)).status);
    }

    @Test
    void aLockThatOthersHaveIsToBeAskedForAgain() throws IOException {
        server.thenProblem(408, "others have it").then(200, "{\"fence\":4294967297}");
        assertEquals(-1, calls.lock(KEY, 1));
        assertEquals(4294967297L, calls.lock(KEY, 1));
    }
}
