package sessiond.qstudio;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ExitCodesTest {
    @Test
    void theProgramsOwnWordsAreWhatToDo() {
        assertEquals(
                "You are not signed in. sessiond-login: sign in again",
                ExitCodes.sentence(77, "sessiond-login: sign in again"));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 64, 69, 73, 77, 78, 130, 137})
    void whereItSaidNothingWeDo(int code) {
        assertTrue(ExitCodes.sentence(code, "").matches("[^.]+\\. [A-Z][^.]+\\."));
    }
}
