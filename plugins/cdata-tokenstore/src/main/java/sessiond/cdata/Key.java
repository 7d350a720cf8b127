package sessiond.cdata;

import java.nio.charset.CharacterCodingException;

/**
 * Which value, and which lock, is meant.
 *
 * @param context whose tokens
 * @param name which of them: {@code oauth}, {@code credentials}
 */
record Key(String context, String name) {
    private static final String UNRESERVED = "-._~"; // with letters and digits: RFC 3986, 2.3

    /**
     * Returns it as a query (RFC 3986, 3.4), the question mark included.
     *
     * @throws CharacterCodingException half of a surrogate pair is in it
     */
    String query() throws CharacterCodingException {
        return "?context=" + escaped(context) + "&name=" + escaped(name);
    }

    private static String escaped(String text) throws CharacterCodingException {
        StringBuilder query = new StringBuilder();
        for (byte each : Utf8.bytes(text)) {
            int octet = each & 0xff;
            boolean isPlain = octet < 0x80 && Character.isLetterOrDigit(octet);
            if (isPlain || UNRESERVED.indexOf(octet) >= 0) {
                query.append((char) octet);
            } else {
                query.append(String.format("%%%02X", octet));
            }
        }
        return query.toString();
    }

    @Override
    public String toString() {
        return "token \"" + name + "\" of context \"" + context + "\"";
    }
}
