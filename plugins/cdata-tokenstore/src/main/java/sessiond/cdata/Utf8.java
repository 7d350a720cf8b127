package sessiond.cdata;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;

/** UTF-8 that loses nothing: what cannot be written or read is an error, never a question mark. */
final class Utf8 {
    private Utf8() {}

    /**
     * Returns the text's bytes.
     *
     * @throws CharacterCodingException half of a surrogate pair is in it
     */
    static byte[] bytes(String text) throws CharacterCodingException {
        ByteBuffer written = StandardCharsets.UTF_8.newEncoder().encode(CharBuffer.wrap(text));
        byte[] bytes = new byte[written.remaining()];
        written.get(bytes);
        return bytes;
    }

    /**
     * Returns the text that the bytes are.
     *
     * @throws CharacterCodingException they are no UTF-8
     */
    static String text(byte[] bytes) throws CharacterCodingException {
        return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
    }
}
