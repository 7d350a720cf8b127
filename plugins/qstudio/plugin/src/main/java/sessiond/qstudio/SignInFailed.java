package sessiond.qstudio;

/** Nobody was signed in. The message is for the person at qStudio, and never holds a token. */
public final class SignInFailed extends RuntimeException {
    private static final long serialVersionUID = 1L;

    SignInFailed(String message) {
        super(message);
    }

    /** The message alone: qStudio shows this text, where the name of a class helps nobody. */
    @Override
    public String toString() {
        return getMessage();
    }
}
