package sessiond.cdata;

import java.nio.file.Path;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;

/**
 * What all stores on one control socket share. Drivers make a factory and a store for each of their
 * connections, by reflection; only what is static is the same for two of them, and both the number
 * of connections and whose a lock is are the whole program's.
 *
 * @param socket its control socket
 * @param connections to it
 * @param holds the locks that this program has taken there
 */
record Daemon(Path socket, Connections connections, Holds holds) {
    private static final ConcurrentMap<Path, Daemon> BY_SOCKET = new ConcurrentHashMap<>();

    /** Returns the one at a socket; nothing is opened yet. */
    static Daemon at(Path socket) {
        return BY_SOCKET.computeIfAbsent(
                socket, any -> new Daemon(socket, new Connections(socket), new Holds()));
    }
}
