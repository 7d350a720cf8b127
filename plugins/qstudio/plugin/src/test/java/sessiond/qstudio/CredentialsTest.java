package sessiond.qstudio;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CredentialsTest {
    @Test
    void theUserAndThePasswordAreTakenAsTheyWerePrinted() {
        Credentials read = Credentials.fromJson(FakeLogin.ANSWER);
        assertEquals("alice", read.user);
        assertEquals(FakeLogin.PASSWORD, read.password);
    }

    @Test
    void membersOfLaterVersionsAreNoHindrance() {
        assertEquals(
                "a", Credentials.fromJson("{\"user\":\"a\",\"new\":1,\"password\":\"b\"}").user);
    }

    @Test
    void aNameMayHaveBlanksAsSessiondLetsIt() {
        String named = "{\"user\":\"CORP\\\\Alice Doe\",\"password\":\"b\"}";
        assertEquals("CORP\\Alice Doe", Credentials.fromJson(named).user);
    }

    @Test
    void credentialsPrintNoPassword() {
        assertFalse(Credentials.fromJson(FakeLogin.ANSWER).toString().contains(FakeLogin.TOKEN));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "Signed in as alice", // not JSON
                "{\"user\":\"a\"}",
                "{\"user\":\"a\",\"password\":1}",
                "{\"user\":\"a\",\"password\":null}",
                "{\"user\":\"\",\"password\":\"b\"}",
                "{\"user\":\"a\",\"password\":\"\"}",
                "{\"user\":\"a:b\",\"password\":\"c\"}", // q would take b:c for the password
                "{\"user\":\"a\",\"password\":\"b\\u0000c\"}", // q would take b for it
                "{\"user\":\"a\",\"password\":\"b c\"}",
                "{\"user\":\"é\",\"password\":\"b\"}",
            })
    void whatKdbCouldNotTakeIsRefused(String printed) {
        assertThrows(SignInFailed.class, () -> Credentials.fromJson(printed));
    }

    @Test
    void longerThanSessiondTakesIsRefused() {
        Credentials.fromJson(answer(256, 32 * 1024));
        assertThrows(SignInFailed.class, () -> Credentials.fromJson(answer(257, 1)));
        assertThrows(SignInFailed.class, () -> Credentials.fromJson(answer(1, 32 * 1024 + 1)));
    }

    @Test
    void aRefusalQuotesNothingOfTheAnswer() {
        String printed = "{\"user\":\"a:b\",\"password\":\"" + FakeLogin.TOKEN + "\", oops}";
        String message =
                assertThrows(SignInFailed.class, () -> Credentials.fromJson(printed)).toString();
        assertFalse(message.contains(FakeLogin.TOKEN.substring(0, 8)), message);
    }

    private static String answer(int user, int password) {
        return "{\"user\":\""
                + "u".repeat(user)
                + "\",\"password\":\""
                + "p".repeat(password)
                + "\"}";
    }
}
