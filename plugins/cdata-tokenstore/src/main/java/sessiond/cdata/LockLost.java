package sessiond.cdata;

/**
 * Nothing was written: another took the lock over, and wrote since. Read the token again and use
 * that; the one that was to be written is to be thrown away.
 */
public final class LockLost extends TokenStoreException {
    private static final long serialVersionUID = 1L;

    LockLost(String message) {
        super(message);
    }
}
