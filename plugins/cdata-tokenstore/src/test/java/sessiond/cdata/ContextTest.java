package sessiond.cdata;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.NullAndEmptySource;
import org.junit.jupiter.params.provider.ValueSource;

class ContextTest {
    @ParameterizedTest
    @CsvSource({
        "externalToken://reports, reports",
        "externaltoken://reports, reports",
        "externalToken://source:market-data, source:market-data",
        "externalToken://team/a/b?c=d&e%20f#g, team/a/b?c=d&e%20f#g",
        "externalToken://externalToken://x, externalToken://x",
        "externalToken://host/, host/",
        "externalToken:/x, externalToken:/x",
        "reports, reports",
    })
    void itIsAllThatFollowsTheSchemeAsItIs(String given, String context) {
        assertEquals(context, Context.named(given));
    }

    @ParameterizedTest
    @NullAndEmptySource
    @ValueSource(strings = "externalToken://")
    void noneIsAnErrorThatSaysHowToNameOne(String given) {
        TokenStoreException error =
                assertThrows(TokenStoreException.class, () -> Context.named(given));
        assertTrue(error.getMessage().contains("externalToken://NAME"), error.getMessage());
    }

    @Test
    void theFactoryRefusesNoneToo() {
        assertThrows(TokenStoreException.class, () -> new TokenStoreFactory().getStore(""));
    }
}
