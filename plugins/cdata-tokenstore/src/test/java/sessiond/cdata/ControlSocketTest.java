package sessiond.cdata;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

import java.nio.file.Path;

class ControlSocketTest {
    @Test
    void thePropertyGoesBeforeTheVariableAndTheVariableBeforeTheUsualPath() {
        assertEquals(Path.of("/p"), ControlSocket.path("/p", "/v"));
        assertEquals(Path.of("/v"), ControlSocket.path(null, "/v"));
        assertEquals(Path.of("/run/sessiond/control.sock"), ControlSocket.path(null, null));
    }

    @Test
    void anEmptyOneIsAsIfItWereNotSet() {
        assertEquals(Path.of("/v"), ControlSocket.path("", "/v"));
        assertEquals(Path.of(ControlSocket.USUAL), ControlSocket.path("", ""));
    }

    @Test
    void aRelativePathStaysTheSameSocketWhereverItIsNamedFrom() {
        assertTrue(ControlSocket.path("c", null).isAbsolute());
    }
}
