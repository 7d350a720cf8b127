package sessiond.cdata;

/**
 * A lock that was taken, whether or not it still holds.
 *
 * @param thread who took it
 * @param store the store object that it was taken through
 * @param fence what the daemon knows it by
 * @param maxWait milliseconds without progress after which others may take it over, as its taker
 *     sees it
 * @param before what the value was when it was taken, or has been written under it since
 */
record Hold(Thread thread, TokenStore store, long fence, int maxWait, Fingerprint before) {
    /** Returns it after a value was written under it. */
    Hold having(byte[] written) {
        return new Hold(thread, store, fence, maxWait, Fingerprint.of(written));
    }
}
