package sessiond.qstudio;

import java.nio.file.Files;
import java.nio.file.Path;

/** A program that is closed, as qStudio may be, while somebody signs in. */
final class ClosedMeanwhile {
    private ClosedMeanwhile() {}

    /** Takes the file that a stand-in for sessiond-login has written when it runs. */
    public static void main(String[] args) throws Exception {
        Thread asking = new Thread(() -> new LoginProgram().credentials(""));
        asking.setDaemon(true);
        asking.start();
        while (!Files.exists(Path.of(args[0])) || Files.size(Path.of(args[0])) == 0) {
            Thread.onSpinWait();
        }
        System.exit(0);
    }
}
