package sessiond.cdata;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.nio.charset.StandardCharsets;

class AnswerTest {
    @Test
    void theDetailOfAProblemIsReadWithItsEscapes() {
        assertEquals(
                "user \"7\" may not",
                answer("{\"title\":\"x\",\"detail\":\"user \\\"7\\\" may not\",\"status\":403}")
                        .detail());
    }

    @Test
    void itIsOneShortLine() {
        String shown = answer("{\"detail\":\"a\\u000ab\r\n" + "x".repeat(999) + "\"}").detail();
        assertEquals(301, shown.length());
        assertTrue(shown.endsWith("x…"));
        assertFalse(shown.contains("\n"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "eyJhbGciOiJFUzI1NiJ9", "{\"detail\":1}", "{\"detail\":\"cut"})
    void whatIsNoProblemIsNotQuoted(String body) {
        assertEquals("it does not say why", answer(body).detail());
    }

    @Test
    void aFenceIsANumberAmongWhateverElseALaterDaemonSays() {
        assertEquals(4294967297L, answer("{\"fence\":4294967297}").fence());
        assertEquals(
                9007199254740991L, answer("{ \"fence\" : 9007199254740991 , \"x\":1}").fence());
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "{}", "{\"fence\":-1}", "{\"fence\":1.5}", "{\"fence\":\"1\"}"})
    void anythingElseIsNoFence(String body) {
        assertEquals(-1, answer(body).fence());
    }

    private static Answer answer(String body) {
        return new Answer(403, body.getBytes(StandardCharsets.UTF_8), false);
    }
}
