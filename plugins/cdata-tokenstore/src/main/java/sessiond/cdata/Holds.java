package sessiond.cdata;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Which locks of one daemon the threads of this program have taken. Drivers say neither fence nor
 * owner when they write and release, so both are told from the thread.
 *
 * <p>A thread's own is the one that it took last, through whichever store object. It stays its own
 * until the thread releases it or takes another, however dead it is: a thread whose lock was taken
 * over by its neighbour must not write under the neighbour's. A thread that took none acts for the
 * one that last took one through the same store object: drivers may take a lock in one thread and
 * write in another.
 */
final class Holds {
    private final Map<Key, List<Hold>> byKey = new HashMap<>(); // lists oldest first, never empty

    /** Remembers a lock as its thread's own. The daemon has given it: all others of it are dead. */
    synchronized void taken(Key key, Hold taken) {
        List<Hold> holds = byKey.computeIfAbsent(key, any -> new ArrayList<>());
        holds.removeIf(each -> each.thread() == taken.thread() || !each.thread().isAlive());
        holds.add(taken);
    }

    /** Returns the lock under which the thread acts, or null where it has none. */
    synchronized Hold of(Key key, Thread thread, TokenStore store) {
        Hold newest = null;
        for (Hold each : byKey.getOrDefault(key, List.of())) {
            if (each.thread() == thread) {
                return each;
            }
            newest = each.store() == store ? each : newest;
        }
        return newest;
    }

    /** Remembers a lock in the place of one, unless that was forgotten meanwhile. */
    synchronized void replace(Key key, Hold hold, Hold with) {
        List<Hold> holds = byKey.get(key);
        if (holds != null) {
            holds.replaceAll(each -> each.equals(hold) ? with : each);
        }
    }

    /** Forgets a lock. */
    synchronized void drop(Key key, Hold hold) {
        List<Hold> holds = byKey.get(key);
        if (holds != null && holds.remove(hold) && holds.isEmpty()) {
            byKey.remove(key);
        }
    }
}
