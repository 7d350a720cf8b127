package sessiond.cdata;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;

import org.junit.jupiter.api.Test;

import java.nio.file.Path;

class HoldsTest {
    private static final Key KEY = new Key("reports", "oauth");

    private final Daemon daemon = new Daemon(Path.of("/none"), null, new Holds());
    private final TokenStore store = new TokenStore("reports", daemon);
    private final TokenStore another = new TokenStore("reports", daemon);
    private final Thread mine = Thread.currentThread();
    private final Holds holds = daemon.holds();

    @Test
    void aThreadActsUnderItsOwnThroughWhicheverStore() {
        Hold taken = taken(mine, store, 1);
        assertSame(taken, holds.of(KEY, mine, another));
    }

    @Test
    void aThreadWhoseLockWasTakenOverByItsNeighbourDoesNotActUnderTheNeighbours() {
        Hold dead = taken(mine, store, 1);
        taken(living(), store, 2);
        assertSame(dead, holds.of(KEY, mine, store));
    }

    @Test
    void aThreadThatTookNoneActsForTheLastThatDidThroughTheSameStore() {
        taken(mine, store, 1);
        Hold last = taken(living(), store, 2);
        taken(living(), another, 3);
        assertSame(last, holds.of(KEY, living(), store));
    }

    @Test
    void throughAnotherStoreOrForAnotherTokenItHasNone() {
        taken(living(), another, 1);
        assertNull(holds.of(KEY, mine, store));
        assertNull(holds.of(new Key("reports", "credentials"), living(), another));
    }

    @Test
    void whoTakesOneAgainHasThat() {
        taken(mine, store, 1);
        Hold again = taken(mine, another, 2);
        assertSame(again, holds.of(KEY, mine, store));
    }

    @Test
    void oneThatIsDroppedIsNobodys() {
        holds.drop(KEY, taken(mine, store, 1));
        assertNull(holds.of(KEY, mine, store));
    }

    @Test
    void oneIsReplacedWhereItIsStillThereAndNotBroughtBack() {
        Hold first = taken(mine, store, 1);
        Hold written = first.having(new byte[] {1});
        holds.replace(KEY, first, written);
        assertEquals(written, holds.of(KEY, mine, store));
        holds.drop(KEY, written);
        holds.replace(KEY, written, first);
        assertNull(holds.of(KEY, mine, store));
    }

    @Test
    void whatEndedThreadsLeftIsForgottenAtTheNextTaking() {
        Hold left = taken(new Thread(() -> {}), store, 1); // as one that has ended: it is not alive
        assertSame(left, holds.of(KEY, mine, store));
        Hold next = taken(living(), another, 2);
        assertNull(holds.of(KEY, mine, store));
        assertSame(next, holds.of(KEY, mine, another));
    }

    private Hold taken(Thread thread, TokenStore through, long fence) {
        Hold hold = new Hold(thread, through, fence, 60_000, Fingerprint.of(new byte[0]));
        holds.taken(KEY, hold);
        return hold;
    }

    private static Thread living() {
        Thread thread =
                new Thread(
                        () -> {
                            try {
                                Thread.sleep(60_000);
                            } catch (InterruptedException over) {
                                return;
                            }
                        });
        thread.setDaemon(true);
        thread.start();
        return thread;
    }
}
