package sessiond.cdata;

/**
 * Makes the stores that a driver asks for. Found by its name, the connection string's {@code
 * TokenStoreFactory}, and made by its public constructor.
 */
public final class TokenStoreFactory {
    /** Makes one, as the driver does; nothing is read or opened yet. */
    public TokenStoreFactory() {}

    /**
     * Returns the store of one context, on the control socket that this program is told of now.
     *
     * @param context {@code externalToken://CONTEXT}, or CONTEXT alone
     * @throws TokenStoreException it names no context
     */
    public TokenStore getStore(String context) {
        return new TokenStore(Context.named(context), Daemon.at(ControlSocket.path()));
    }
}
