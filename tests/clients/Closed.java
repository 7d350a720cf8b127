import com.kx.c;
import java.io.BufferedReader;
import java.io.InputStreamReader;

/**
 * Logs in with javakdb, waits to be told to go on, and prints what comes of two queries and a
 * login. Arguments: the port. Standard input: the password, and a line when the connection was
 * closed.
 */
public class Closed {
  public static void main(String[] arguments) throws Exception {
    BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
    int port = Integer.parseInt(arguments[0]);
    String login = "alice:" + input.readLine();
    c q = new c("127.0.0.1", port, login);
    System.out.println("in");
    input.readLine();
    for (int i = 0; i < 2; i++) {
      try {
        q.k("trade");
      } catch (Exception error) {
        System.out.println(error.getClass().getSimpleName());
      }
    }
    try {
      new c("127.0.0.1", port, login);
    } catch (Exception error) {
      System.out.println(error.getClass().getSimpleName() + ": " + error.getMessage());
    }
  }
}
