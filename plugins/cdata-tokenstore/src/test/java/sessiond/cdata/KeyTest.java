package sessiond.cdata;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;

import java.nio.charset.CharacterCodingException;

class KeyTest {
    @Test
    void itsQueryIsEscapedUtf8() throws CharacterCodingException {
        assertEquals(
                "?context=source%3Aa%2Fb%20%2B%26%3D%25&name=o%C3%A4%F0%9F%94%91-._~A9",
                new Key("source:a/b +&=%", "oä🔑-._~A9").query());
    }

    @Test
    void halfAPairOfSurrogatesIsNoQuestionMark() {
        assertThrows(CharacterCodingException.class, () -> new Key("a\ud83d", "oauth").query());
    }
}
