package sessiond.qstudio;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LastWordsTest {
    @Test
    void theLastLinesAreOneLine() {
        assertEquals("two three four", LastWords.of("one\ntwo\r\n\n  three\nfour\n"));
    }

    @Test
    void coloursAreNoWords() {
        assertEquals("denied", LastWords.of("\u001b[1;31mdenied\u001b[0m\n"));
    }

    @Test
    void nothingSaidIsNoWords() {
        assertEquals("", LastWords.of("\n \n"));
    }

    @Test
    void noMarkupReachesADialog() {
        assertEquals("?html??img src='http://x'?", LastWords.of("<html><img src='http://x'>\n"));
    }

    @Test
    void controlCharactersAreShownAsSuch() {
        assertEquals("a?b?c", LastWords.of("a\u0007b\u0000c"));
    }

    @Test
    void manyWordsAreCut() {
        String said = "word ".repeat(1000) + "end";
        assertTrue(LastWords.of(said).endsWith("word end"));
        assertEquals(600, LastWords.of(said).length());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                FakeLogin.TOKEN,
                FakeLogin.PASSWORD,
                "token=" + FakeLogin.TOKEN,
                "eyJhbGciOiJub25lIn0", // a header alone
                "0.AXkAbcdefghijklmnopqrstuvwxyz0123456789ABCD!*$", // opaque, as Microsoft's are
            })
    void aTokenIsHiddenShouldOneEverBeSaid(String token) {
        String words = LastWords.of("Traceback: refused " + token + " by the issuer");
        assertTrue(words.contains("(hidden)"), words);
        assertFalse(words.contains("eyJ") || words.contains("0.AX"), words);
        assertTrue(words.endsWith("by the issuer"), words);
    }

    @Test
    void addressesPathsAndNumbersOfErrorsStayReadable() {
        String said =
                "https://login.microsoftonline.com/contoso/oauth2/v2.0/token: AADSTS50076, trace"
                        + " 0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0,"
                        + " /home/alice/.config/sessiond/login.toml";
        assertEquals(said, LastWords.of(said));
    }
}
