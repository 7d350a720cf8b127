import java.io.BufferedReader;
import java.io.Closeable;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;

/**
 * The test's issuer, and what its tokens are for: one connection, a line asked, a line answered.
 */
final class Issuer implements Closeable {
    private final Socket socket;
    private final BufferedReader answers;
    private final OutputStream questions;

    Issuer(int port) throws IOException {
        socket = new Socket(InetAddress.getLoopbackAddress(), port);
        socket.setTcpNoDelay(true);
        answers =
                new BufferedReader(
                        new InputStreamReader(socket.getInputStream(), StandardCharsets.US_ASCII));
        questions = socket.getOutputStream();
    }

    /** Returns a new token. */
    String authenticate() throws IOException {
        return ask("authenticate " + ProcessHandle.current().pid());
    }

    /**
     * Makes a request with a token, and returns whether it was good: false where it has expired.
     */
    boolean accepts(String token) throws IOException {
        return ask("use " + token).equals("ok");
    }

    private String ask(String question) throws IOException {
        questions.write((question + "\n").getBytes(StandardCharsets.US_ASCII));
        return answers.readLine();
    }

    @Override
    public void close() throws IOException {
        socket.close();
    }
}
