import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;

/**
 * Does with one store what each line of standard input says, and prints what came of it: `read
 * NAME`, `write NAME VALUE`, `acquire NAME MAXWAIT`, `release NAME`.
 */
final class Commands {
    private final ReflectedStore store;

    private Commands(ReflectedStore store) {
        this.store = store;
    }

    public static void main(String[] arguments) throws IOException, ReflectiveOperationException {
        Commands commands = new Commands(new ReflectedStore(arguments[0], arguments[1]));
        BufferedReader lines =
                new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            System.out.println(commands.answer(line.split(" ", 3)));
        }
    }

    private String answer(String[] words) {
        try {
            switch (words[0]) {
                case "read" -> {
                    return String.valueOf(store.readToken(words[1])).replace("\n", "\\n");
                }
                case "write" -> store.writeToken(words[1], words[2]);
                case "acquire" -> store.acquireLock(words[1], Integer.parseInt(words[2]));
                case "release" -> store.releaseLock(words[1]);
                default -> throw new IllegalArgumentException(words[0]);
            }
            return "done";
        } catch (RuntimeException thrown) {
            return thrown.getClass().getSimpleName() + ": " + thrown.getMessage();
        }
    }
}
