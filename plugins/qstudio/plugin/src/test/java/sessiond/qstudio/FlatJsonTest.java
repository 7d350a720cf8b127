package sessiond.qstudio;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

class FlatJsonTest {
    @Test
    void anObjectIsReadWhateverItsSpaces() {
        Map<String, Object> read =
                FlatJson.read(
                        " {\"a\" :\t\"x\",\r\n"
                                + "\"b\": -1.5e2 , \"c\":true,\"d\":false,\"e\":null}\n");
        assertEquals(List.of("a", "b", "c", "d", "e"), List.copyOf(read.keySet()));
        assertEquals(Arrays.asList("x", -150.0, true, false, null), new ArrayList<>(read.values()));
    }

    @Test
    void everyEscapeIsRead() {
        assertEquals(
                "\"\\/\b\f\n\r\té",
                FlatJson.read("{\"a\": \"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"}").get("a"));
    }

    @Test
    void anEmptyObjectHasNoMembers() {
        assertEquals(Map.of(), FlatJson.read("{}"));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                " ",
                "null",
                "[]",
                "\"a\"",
                "{",
                "{\"a\"",
                "{\"a\":",
                "{\"a\":1",
                "{\"a\":1,}",
                "{,}",
                "{a:1}",
                "{'a':1}",
                "{\"a\" 1}",
                "{\"a\":1} x",
                "{\"a\":1}{}",
                "{\"a\":01}",
                "{\"a\":+1}",
                "{\"a\":.5}",
                "{\"a\":1.}",
                "{\"a\":NaN}",
                "{\"a\":tru}",
                "{\"a\":{}}",
                "{\"a\":[1]}",
                "{\"a\":\"",
                "{\"a\":\"\\",
                "{\"a\":\"\\x\"}",
                "{\"a\":\"\\u12\"}",
                "{\"a\":\"\\u00g0\"}",
                "{\"a\":\"\\u٠٠٤١\"}",
                "{\"a\":\"x\ny\"}",
                "{\"a\":1,\"a\":2}",
                "{\"a\":1 \"b\":2}",
            })
    void anythingElseIsRefused(String text) {
        assertThrows(IllegalArgumentException.class, () -> FlatJson.read(text));
    }

    @Test
    void noMoreMembersThanAnAnswerCouldHaveAreRead() {
        String members =
                IntStream.range(0, 33)
                        .mapToObj(i -> "\"m" + i + "\":0")
                        .collect(Collectors.joining(","));
        assertThrows(IllegalArgumentException.class, () -> FlatJson.read("{" + members + "}"));
    }

    @Test
    void whatIsWrongIsToldWithoutQuotingIt() {
        String message =
                assertThrows(
                                IllegalArgumentException.class,
                                () -> FlatJson.read("{\"password\": \"secret\", secret}"))
                        .getMessage();
        assertFalse(message.contains("secret"), message);
    }
}
