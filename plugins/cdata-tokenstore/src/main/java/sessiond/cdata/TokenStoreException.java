package sessiond.cdata;

/**
 * A call of a token store did not do what it was asked to. The message says what was seen, what was
 * wanted and what to do, and never holds a token.
 */
public class TokenStoreException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    TokenStoreException(String message) {
        super(message);
    }

    TokenStoreException(String message, Throwable cause) {
        super(message, cause);
    }
}
