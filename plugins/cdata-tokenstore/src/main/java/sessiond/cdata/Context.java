package sessiond.cdata;

/** Whose tokens a store has, in the words of a connection string. */
final class Context {
    static final String SCHEME = "externalToken://";

    private Context() {}

    /**
     * Returns the context that is meant: all that follows {@code externalToken://}, as it is,
     * slashes, colons and percent signs too. A text without that beginning is a context itself.
     *
     * @throws TokenStoreException it is empty
     */
    static String named(String given) {
        String text = given == null ? "" : given;
        boolean isMarked = text.regionMatches(true, 0, SCHEME, 0, SCHEME.length());
        String context = isMarked ? text.substring(SCHEME.length()) : text;
        if (context.isEmpty()) {
            throw new TokenStoreException(
                    "the token store was given no context; say whose tokens it keeps by "
                            + SCHEME
                            + "NAME in the connection string");
        }
        return context;
    }
}
