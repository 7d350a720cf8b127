package sessiond.cdata;

import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/**
 * What tells one value from another without being it.
 *
 * @param sha256 in hexadecimal digits
 */
record Fingerprint(String sha256) {
    /** Returns the value's; no value has the same as an empty one. */
    static Fingerprint of(byte[] value) {
        try {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            return new Fingerprint(HexFormat.of().formatHex(digest.digest(value)));
        } catch (NoSuchAlgorithmException everyJavaHasIt) {
            throw new IllegalStateException(everyJavaHasIt);
        }
    }
}
