package sessiond.cdata;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

import java.io.IOException;
import java.net.ProtocolException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

class AnswerReaderTest {
    private static final String OK = "HTTP/1.1 200 OK\r\n";
    private static final String CHUNKED = OK + "Transfer-Encoding: chunked\r\n\r\n";

    @Test
    void aBodyIsAsLongAsItsContentLength() throws IOException {
        Answer answer = read(OK + "content-length:  5 \r\nX: y\r\n\r\nhelloHTTP/1.1");
        assertEquals(200, answer.status());
        assertArrayEquals("hello".getBytes(StandardCharsets.UTF_8), answer.body());
        assertFalse(answer.endsConnection());
    }

    @Test
    void aBodyInChunksIsPutTogether() throws IOException {
        String chunks = "3\r\nabc\r\n0a;ext=\"x\"\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n";
        assertEquals(
                "abc0123456789",
                new String(read(CHUNKED + chunks).body(), StandardCharsets.US_ASCII));
    }

    @Test
    void anEmptyBodyMayBeWrittenInThreeWays() throws IOException {
        assertEquals(0, read("HTTP/1.1 204 No Content\r\n\r\n").body().length);
        assertEquals(0, read(OK + "Content-Length: 0\r\n\r\n").body().length);
        assertEquals(0, read(CHUNKED + "0\r\n\r\n").body().length);
    }

    @Test
    void whatOnlyAnnouncesAnAnswerIsPassedOver() throws IOException {
        String announced = "HTTP/1.1 100 Continue\r\nContent-Length: 7\r\n\r\n";
        assertEquals(404, read(announced + ScriptedServer.answer(404, "no")).status());
    }

    @Test
    void aConnectionMayBeSaidToEnd() throws IOException {
        assertTrue(read(OK + "Connection: close\r\nContent-Length: 0\r\n\r\n").endsConnection());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {OK + "Content-Length: 5\r\n\r\nhello", CHUNKED + "2\r\nab\r\n0\r\n\r\n"})
    void cutAnywhereItIsLostAndNeverShorter(String whole) {
        for (int length = 0; length < whole.length(); length++) {
            String cut = whole.substring(0, length);
            assertThrows(AnswerLost.class, () -> read(cut), cut);
        }
    }

    static List<String> malformed() {
        List<String> all = new ArrayList<>();
        for (String line :
                List.of("", "SSH-2.0-x", "HTTP/1.0 200 OK", "HTTP/1.1 20 OK", "HTTP/1.1 2000")) {
            all.add(line + "\r\nContent-Length: 0\r\n\r\n");
        }
        for (String field :
                List.of(
                        "Content-Length: -1",
                        "Content-Length: 1x",
                        "Content-Length: 9999999999",
                        "Content-Length: 0\r\nContent-Length: 0",
                        "Content-Length: 0\r\nTransfer-Encoding: chunked",
                        "Transfer-Encoding: gzip, chunked",
                        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
                        "X-Nothing: says how long it is",
                        "no field",
                        "Content-Length : 0",
                        "A: b\r\n folded",
                        "Content-Length: 262145",
                        "X: " + "y".repeat(20_000))) {
            all.add(OK + field + "\r\n\r\n");
        }
        for (String chunks :
                List.of(
                        "x\r\n",
                        "-1\r\n",
                        "\r\n",
                        "123456789\r\n",
                        "2\r\nabc\r\n0\r\n\r\n",
                        "40001\r\n",
                        "0\r\n" + "T: x\r\n".repeat(4_000))) {
            all.add(CHUNKED + chunks);
        }
        all.add("HTTP/1.1 200 OK\nContent-Length: 0\n\n");
        all.add(OK + "X: a\rb\r\n\r\n");
        return all;
    }

    @ParameterizedTest
    @MethodSource("malformed")
    void whatIsNoAnswerOfHttpIsAnErrorThatQuotesNothing(String wire) {
        ProtocolException error = assertThrows(ProtocolException.class, () -> read(wire));
        assertTrue(error.getMessage().startsWith("the answer is not as HTTP/1.1 has it: "));
    }

    @Test
    void theLongestBodyIsRead() throws IOException {
        String body = "x".repeat(262_144);
        assertEquals(262_144, read(ScriptedServer.answer(200, body)).body().length);
    }

    private static Answer read(String wire) throws IOException {
        byte[] bytes = wire.getBytes(StandardCharsets.ISO_8859_1);
        int[] at = {0};
        return AnswerReader.read(
                () -> {
                    if (at[0] == bytes.length) {
                        throw new AnswerLost("cut");
                    }
                    return bytes[at[0]++] & 0xff;
                });
    }
}
