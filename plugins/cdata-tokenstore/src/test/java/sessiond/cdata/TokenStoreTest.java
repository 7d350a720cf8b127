package sessiond.cdata;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.NullAndEmptySource;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.concurrent.CountDownLatch;

@Timeout(60)
class TokenStoreTest {
    private static final int WAIT = 60_000; // milliseconds
    private static final String OLD = "the-old-token";
    private static final String NEW = "the-new-token";
    @TempDir Path directory;
    private ScriptedServer server;
    private TokenStore store;

    @BeforeEach
    void start() throws IOException {
        server = new ScriptedServer(directory);
        System.setProperty(ControlSocket.PROPERTY, server.socket.toString());
        store = new TokenStoreFactory().getStore("externalToken://reports");
    }

    @AfterEach
    void stop() throws IOException {
        System.clearProperty(ControlSocket.PROPERTY);
        server.close();
    }

    @Test
    void aValueIsReadAsItWasWritten() {
        server.then(200, "oauthaccesstoken=ä€🔑\r\noauthexpiresin=3600\n");
        assertEquals("oauthaccesstoken=ä€🔑\r\noauthexpiresin=3600\n", store.readToken("oauth"));
        assertEquals("GET /v1/stores/token?context=reports&name=oauth HTTP/1.1", server.line(0));
    }

    @Test
    void noValueIsNull() {
        server.thenProblem(404, "there is none");
        assertNull(store.readToken("oauth"));
    }

    @Test
    void aValueIsWrittenUnderTheFenceOfTheLockThatWasTaken() {
        acquire(7);
        server.then(204, "").then(204, "");
        store.writeToken("oauth", NEW + "ä");
        store.releaseLock("oauth");
        assertEquals("POST /v1/stores/lock?context=reports&name=oauth HTTP/1.1", server.line(0));
        assertTrue(server.requests.get(0).endsWith("\r\n\r\n{\"wait_ms\":60000}"));
        String put = server.requests.get(2);
        assertTrue(put.startsWith("PUT /v1/stores/token?context=reports&name=oauth HTTP/1.1\r\n"));
        assertTrue(put.contains("\r\nLock: 7\r\n"));
        byte[] sent =
                put.substring(put.indexOf("\r\n\r\n") + 4).getBytes(StandardCharsets.ISO_8859_1);
        assertEquals(NEW + "ä", new String(sent, StandardCharsets.UTF_8));
        assertTrue(server.line(3).startsWith("DELETE /v1/stores/lock?"));
        assertTrue(server.requests.get(3).contains("\r\nLock: 7\r\n"));
    }

    @ParameterizedTest
    @NullAndEmptySource
    void nullAndEmptyRemoveTheValue(String none) {
        acquire(7);
        server.then(204, "");
        store.writeToken("oauth", none);
        assertTrue(server.requests.get(2).contains("\r\nContent-Length: 0\r\n"));
    }

    @Test
    void withoutALockNothingIsAskedAndTheErrorSaysWhatToCall() {
        TokenStoreException error = refusedWrite();
        assertTrue(error.getMessage().contains("acquireLock"), error.getMessage());
        assertTrue(server.requests.isEmpty());
    }

    @Test
    void aReleasedLockIsNoLock() {
        acquire(7);
        server.then(204, "");
        store.releaseLock("oauth");
        refusedWrite();
        assertEquals(3, server.requests.size());
    }

    @Test
    void aLockIsAskedForAgainUntilItIsHeld() {
        server.thenProblem(408, "others have it").thenProblem(408, "others have it");
        acquire(7);
        assertEquals(4, server.requests.size());
    }

    @Test
    void aNegativeWaitIsNone() {
        server.then(200, "{\"fence\":1}").thenProblem(404, "none");
        store.acquireLock("oauth", -5);
        assertTrue(server.requests.get(0).endsWith("{\"wait_ms\":0}"));
    }

    @Test
    void whatNobodyElseHasWrittenSinceIsWrittenUnderAnotherLockWhereTheFirstIsDead() {
        acquire(7);
        server.thenProblem(409, "dead");
        acquired(8, OLD);
        server.then(204, "").then(204, "");
        store.writeToken("oauth", NEW);
        store.releaseLock("oauth");
        assertTrue(server.requests.get(5).contains("\r\nLock: 8\r\n"));
        assertTrue(server.requests.get(6).startsWith("DELETE"));
        assertTrue(server.requests.get(6).contains("\r\nLock: 8\r\n"));
    }

    @Test
    void whatTheThreadItselfHasWrittenUnderItsLockIsNotAnothers() {
        acquire(7);
        server.then(204, "");
        store.writeToken("oauth", "between");
        server.thenProblem(409, "dead");
        acquired(8, "between");
        server.then(204, "");
        store.writeToken("oauth", NEW);
        assertTrue(server.requests.get(6).contains("\r\nLock: 8\r\n"));
    }

    @Test
    void whatAnotherHasWrittenSinceIsNotOverwrittenAndTheErrorSaysSo() {
        acquire(7);
        server.thenProblem(409, "dead");
        acquired(8, "anothers-token");
        server.then(204, ""); // the second lock is given back
        LockLost lost = assertThrows(LockLost.class, () -> store.writeToken("oauth", NEW));
        assertTrue(lost.getMessage().contains("taken over"), lost.getMessage());
        assertTrue(server.requests.get(5).startsWith("DELETE"));
        server.thenProblem(409, "dead");
        store.releaseLock("oauth");
        assertTrue(server.requests.get(6).contains("\r\nLock: 7\r\n"));
    }

    @Test
    void anAnswerThatWasLostWithTheDaemonIsFoundToHaveBeenAYes() {
        acquire(7);
        server.thenCut("").thenProblem(409, "dead: restarted");
        acquired(8, NEW);
        store.writeToken("oauth", NEW);
        assertEquals(6, server.requests.size());
    }

    @Test
    void aSecondLockThatDiesTooIsAnError() {
        acquire(7);
        server.thenProblem(409, "dead");
        acquired(8, OLD);
        server.thenProblem(409, "dead").thenProblem(409, "dead");
        assertThrows(LockLost.class, () -> store.writeToken("oauth", NEW));
    }

    @Test
    void aLockWhoseValueCannotBeReadIsGivenBack() {
        server.then(200, "{\"fence\":7}").thenProblem(500, "a bug").then(204, "");
        assertThrows(TokenStoreException.class, () -> store.acquireLock("oauth", WAIT));
        assertTrue(server.line(2).startsWith("DELETE"));
        refusedWrite();
        assertEquals(3, server.requests.size());
    }

    @Test
    void aThreadMayWriteAndReleaseForTheOneThatTookTheLock() throws InterruptedException {
        acquire(7);
        server.then(204, "").then(204, "");
        inAThread(
                () -> {
                    store.writeToken("oauth", NEW);
                    store.releaseLock("oauth");
                });
        assertTrue(server.requests.get(3).contains("\r\nLock: 7\r\n"));
    }

    @Test
    void aThreadFindsItsLockThroughAnotherStoreOfTheContext() {
        acquire(7);
        server.then(204, "");
        new TokenStoreFactory().getStore("reports").writeToken("oauth", NEW);
        assertTrue(server.requests.get(2).contains("\r\nLock: 7\r\n"));
    }

    @Test
    void aLockOfOneTokenIsNoneOfAnother() {
        acquire(7);
        assertThrows(TokenStoreException.class, () -> store.writeToken("credentials", NEW));
    }

    @Test
    void releasingThrowsNothingWhateverHappens() throws Exception {
        store.releaseLock("oauth");
        assertTrue(server.requests.isEmpty());
        acquire(7);
        server.thenProblem(500, "a bug");
        store.releaseLock("oauth");
        acquire(8);
        server.stop();
        assertDoesNotThrow(() -> store.releaseLock("oauth"));
    }

    @Test
    void aDaemonThatIsRestartedIsAskedAgain() throws Exception {
        server.stop();
        CountDownLatch begun = new CountDownLatch(1);
        Thread reading =
                new Thread(
                        () -> {
                            begun.countDown();
                            assertEquals(OLD, store.readToken("oauth"));
                        });
        reading.start();
        begun.await();
        server.then(200, OLD);
        server.start();
        reading.join();
        assertEquals(1, server.requests.size());
    }

    @Test
    void aDaemonThatDiesWhileALockIsWaitedForIsAskedAgain() {
        server.thenCut("").thenCut("HTTP/1.1 20").thenProblem(503, "sessiond is stopping");
        acquire(7);
        assertEquals(5, server.requests.size());
    }

    @Test
    void aDaemonThatIsAwayForLongIsAnErrorThatSaysWhereItWasLookedFor() throws Exception {
        server.stop();
        String message = refusedRead();
        assertTrue(message.contains(server.socket.toString()), message);
        assertTrue(message.contains("-Dsessiond.control") || message.contains("sessiond.control"));
    }

    @ParameterizedTest
    @CsvSource({
        "400, printable",
        "403, [stores] users",
        "428, log",
        "500, log",
        "302, log",
    })
    void whatTheDaemonRefusesIsToldInItsWordsWithWhatToDo(int status, String advice) {
        server.thenProblem(status, "because of that");
        String message = refusedRead();
        assertTrue(
                message.contains("readToken of token \"oauth\" of context \"reports\""), message);
        assertTrue(message.contains(status + ": because of that; "), message);
        assertTrue(message.contains(advice), message);
        assertEquals(1, server.requests.size());
    }

    @Test
    void aTokenTooLargeIsRefusedOnceAndNotRepeated() {
        acquire(7);
        server.thenProblem(413, "more than 65536 bytes");
        String message = refusedWrite().getMessage();
        assertTrue(message.contains("64 KiB"), message);
        assertFalse(message.contains(NEW), message);
    }

    @Test
    void whatIsNotSessiondIsSaidNotToBe() {
        server.thenRaw("220 " + OLD + "\r\n");
        String message = refusedRead();
        assertTrue(message.contains("sessiond that listens there"), message);
        assertFalse(message.contains(OLD), message);
    }

    @Test
    void aValueThatIsNoTextIsAnError() {
        server.then(
                peer -> {
                    ScriptedServer.send(peer, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n");
                    peer.write(ByteBuffer.wrap(new byte[] {(byte) 0xff}));
                    return true;
                });
        assertTrue(refusedRead().contains("no text in UTF-8"));
    }

    @Test
    void halfAPairOfSurrogatesIsNotWritten() {
        acquire(7);
        assertThrows(TokenStoreException.class, () -> store.writeToken("oauth", "a\udc00"));
        assertEquals(2, server.requests.size());
    }

    @ParameterizedTest
    @NullAndEmptySource
    void aTokenWithoutANameIsAnError(String none) {
        assertThrows(TokenStoreException.class, () -> store.readToken(none));
    }

    @Test
    void aLockWithoutItsFenceIsAnError() {
        server.then(200, "{}");
        assertThrows(TokenStoreException.class, () -> store.acquireLock("oauth", WAIT));
    }

    @Test
    void anInterruptEndsTheWaitForALockAndIsKept() throws InterruptedException {
        CountDownLatch asked = new CountDownLatch(1);
        server.then(
                peer -> {
                    asked.countDown();
                    return true;
                });
        boolean[] isInterrupted = {false};
        Thread waiting =
                new Thread(
                        () -> {
                            assertThrows(
                                    TokenStoreException.class,
                                    () -> store.acquireLock("oauth", WAIT));
                            isInterrupted[0] = Thread.currentThread().isInterrupted();
                        });
        waiting.start();
        asked.await();
        waiting.interrupt();
        waiting.join();
        assertTrue(isInterrupted[0]);
    }

    @Test
    void anInterruptedThreadStillWritesWhatItHas() {
        acquire(7);
        server.then(204, "");
        Thread.currentThread().interrupt();
        store.writeToken("oauth", NEW);
        assertTrue(Thread.interrupted());
    }

    private void acquire(long fence) {
        acquired(fence, OLD);
        store.acquireLock("oauth", WAIT);
    }

    /** Answers as the daemon does to a taking: the fence, then what is there. */
    private void acquired(long fence, String value) {
        server.then(200, "{\"fence\":" + fence + "}").then(200, value);
    }

    private TokenStoreException refusedWrite() {
        return assertThrows(TokenStoreException.class, () -> store.writeToken("oauth", NEW));
    }

    private String refusedRead() {
        return assertThrows(TokenStoreException.class, () -> store.readToken("oauth")).getMessage();
    }

    private static void inAThread(Runnable work) throws InterruptedException {
        Throwable[] failed = {null};
        Thread thread = new Thread(work);
        thread.setUncaughtExceptionHandler((any, error) -> failed[0] = error);
        thread.start();
        thread.join();
        assertNull(failed[0]);
    }
}
