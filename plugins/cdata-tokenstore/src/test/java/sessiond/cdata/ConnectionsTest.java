package sessiond.cdata;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.net.ProtocolException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;

@Timeout(60)
class ConnectionsTest {
    private static final long LONG = 50_000; // milliseconds
    private static final long SHORT = 100;
    @TempDir Path directory;
    private ScriptedServer server;
    private Connections connections;

    @BeforeEach
    void start() throws IOException {
        server = new ScriptedServer(directory);
        connections = new Connections(server.socket);
    }

    @AfterEach
    void stop() throws IOException {
        server.close();
    }

    @Test
    void readsGoOverOneConnectionThatIsKept() throws IOException {
        for (int i = 0; i < 3; i++) {
            server.then(200, "x");
            assertEquals(200, read(LONG).status());
        }
        assertEquals(1, server.peers.size());
    }

    @Test
    void aChangeGoesOverAConnectionOfItsOwnAndSaysSo() throws IOException {
        server.then(200, "x").then(204, "");
        read(LONG);
        change();
        assertEquals(2, server.peers.size());
        assertTrue(server.requests.get(1).contains("\r\nConnection: close\r\n"));
    }

    @Test
    void aKeptConnectionThatTheDaemonHasClosedIsReplacedWithoutAWord() throws IOException {
        server.thenCut(ScriptedServer.answer(200, "x")).then(200, "y");
        read(LONG);
        assertEquals('y', read(LONG).body()[0]);
        assertEquals(2, server.peers.size());
    }

    @Test
    void aConnectionOfWhichTheAnswerSaysThatItEndsIsNotKept() throws IOException {
        server.thenRaw("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        server.then(200, "y");
        read(LONG);
        read(LONG);
        assertEquals(2, server.peers.size());
    }

    @Test
    void aConnectionOnWhichMoreCameThanAnAnswerIsNotUsedAgain() throws IOException {
        server.thenRaw(ScriptedServer.answer(200, "x") + ScriptedServer.answer(200, "another's"));
        server.then(200, "y");
        read(LONG);
        assertEquals('y', read(LONG).body()[0]);
    }

    @Test
    void anAnswerThatIsCutIsLost() {
        server.thenCut("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
        assertThrows(AnswerLost.class, () -> read(LONG));
    }

    @Test
    void anAnswerThatIsCutOnAKeptConnectionIsLostToo() throws IOException {
        server.then(200, "x").thenCut("HTTP/1.1 200");
        read(LONG);
        assertThrows(AnswerLost.class, () -> read(LONG));
    }

    @Test
    void noAnswerAtAllIsTimedOut() {
        server.thenSilence();
        assertThrows(TimedOut.class, () -> read(SHORT));
    }

    @Test
    void anAnswerThatComesByteByByteIsTimedOutAsAWhole() {
        server.then(
                peer -> {
                    while (true) { // no end of head in sight
                        ScriptedServer.send(peer, "HTTP/1.1 200 OK ");
                        Thread.sleep(5);
                    }
                });
        assertThrows(TimedOut.class, () -> read(SHORT));
    }

    @Test
    void anAnswerThatComesByteByByteIsRead() throws IOException {
        server.then(
                peer -> {
                    for (char each : ScriptedServer.answer(200, "slow").toCharArray()) {
                        ScriptedServer.send(peer, String.valueOf(each));
                    }
                    return true;
                });
        assertEquals(4, read(LONG).body().length);
    }

    @Test
    void anotherServersBannerIsAProtocolErrorAndItsConnectionIsClosed() throws IOException {
        server.thenRaw("220 mail.example ESMTP\r\n").then(200, "x");
        assertThrows(ProtocolException.class, () -> read(LONG));
        read(LONG);
        assertEquals(2, server.peers.size());
    }

    @Test
    void aRefusalThatComesBeforeTheBodyWasReadIsReadAllTheSame() throws IOException {
        Path early = directory.resolve("early.sock");
        try (ServerSocketChannel listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
            listener.bind(UnixDomainSocketAddress.of(early));
            Thread refusing = new Thread(() -> refuseUnread(listener));
            refusing.start();
            Request large = new Request("PUT", "/").with(new byte[4_000_000], "text/plain");
            try (Deadline deadline = Deadline.steady(LONG)) {
                assertEquals(413, new Connections(early).change(large, deadline).status());
            }
        }
    }

    private static void refuseUnread(ServerSocketChannel listener) {
        try (SocketChannel peer = listener.accept()) {
            ScriptedServer.send(peer, ScriptedServer.answer(413, "too large"));
        } catch (IOException gone) {
            throw new IllegalStateException(gone);
        }
    }

    @Test
    void nobodyThereIsUnreachable() throws Exception {
        server.stop();
        assertThrows(Unreachable.class, () -> read(LONG));
        Connections nowhere = new Connections(directory.resolve("none"));
        Request request = new Request("GET", "/");
        try (Deadline deadline = Deadline.steady(LONG)) {
            assertThrows(Unreachable.class, () -> nowhere.read(request, deadline));
        }
    }

    @Test
    void aListenerThatDoesNotAcceptIsUnreachableAtOnce() throws IOException {
        Path full = directory.resolve("full.sock");
        List<Connection> waiting = new ArrayList<>();
        try (ServerSocketChannel listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
            listener.bind(UnixDomainSocketAddress.of(full), 1);
            assertThrows(
                    Unreachable.class,
                    () -> {
                        while (true) {
                            waiting.add(Connection.open(full));
                        }
                    });
        } finally {
            waiting.forEach(Connection::close);
        }
    }

    @Test
    void atMostEightRequestsAreUnderWayAndTheNextWaitsForItsTurn() throws Exception {
        CountDownLatch underWay = new CountDownLatch(8);
        CountDownLatch go = new CountDownLatch(1);
        for (int i = 0; i < 9; i++) {
            server.then(
                    peer -> {
                        underWay.countDown();
                        go.await();
                        ScriptedServer.send(peer, ScriptedServer.answer(200, "x"));
                        return true;
                    });
        }
        List<Thread> readers = new ArrayList<>();
        for (int i = 0; i < 8; i++) {
            readers.add(thread(() -> read(LONG)));
        }
        underWay.await();
        assertThrows(TimedOut.class, () -> read(SHORT));
        assertEquals(8, server.peers.size());
        readers.add(thread(() -> read(LONG)));
        go.countDown();
        for (Thread each : readers) {
            each.join();
        }
        assertEquals(9, server.requests.size());
        assertEquals(8, server.peers.size());
    }

    private interface Work {
        void run() throws IOException;
    }

    private static Thread thread(Work work) {
        Thread thread =
                new Thread(
                        () -> {
                            try {
                                work.run();
                            } catch (IOException failed) {
                                throw new IllegalStateException(failed);
                            }
                        });
        thread.start();
        return thread;
    }

    @Test
    void atMostSixteenWaitAtTheDaemonAndTheyKeepNobodyFromReading() throws Exception {
        CountDownLatch waiting = new CountDownLatch(16);
        CountDownLatch go = new CountDownLatch(1);
        for (int i = 0; i < 16; i++) {
            server.then(
                    peer -> {
                        waiting.countDown();
                        go.await();
                        ScriptedServer.send(peer, ScriptedServer.answer(200, "x"));
                        return true;
                    });
        }
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < 17; i++) {
            threads.add(thread(() -> connections.await(new Request("POST", "/"), LONG)));
        }
        waiting.await();
        server.then(200, "x");
        read(LONG);
        assertEquals(17, server.requests.size());
        server.then(200, "x");
        go.countDown();
        for (Thread each : threads) {
            each.join();
        }
        assertEquals(18, server.requests.size());
    }

    @Test
    void anInterruptDoesNotEndAReadAndIsKept() throws IOException {
        server.then(200, "x");
        Thread.currentThread().interrupt();
        assertEquals(200, read(LONG).status());
        assertTrue(Thread.interrupted());
    }

    @Test
    void anInterruptEndsAWaitAndIsKeptAndTheDaemonSeesItHangUp() throws Exception {
        CountDownLatch asked = new CountDownLatch(1);
        server.then(
                peer -> {
                    asked.countDown();
                    return true;
                });
        boolean[] wasInterrupted = {false};
        Thread waiting =
                new Thread(
                        () -> {
                            assertThrows(
                                    InterruptedIOException.class,
                                    () -> connections.await(new Request("POST", "/"), LONG));
                            wasInterrupted[0] = Thread.interrupted();
                        });
        waiting.start();
        asked.await();
        waiting.interrupt();
        waiting.join();
        assertTrue(wasInterrupted[0]);
        while (server.peers.get(0).isOpen()) {
            Thread.onSpinWait(); // until the server has read the end
        }
        assertFalse(Thread.interrupted());
    }

    private Answer read(long millis) throws IOException {
        try (Deadline deadline = Deadline.steady(millis)) {
            return connections.read(new Request("GET", "/v1/x"), deadline);
        }
    }

    private void change() throws IOException {
        try (Deadline deadline = Deadline.steady(LONG)) {
            connections.change(new Request("DELETE", "/v1/x"), deadline);
        }
    }
}
