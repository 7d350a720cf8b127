package sessiond.qstudio;

/** Nobody was signed in. The message is for the person at qStudio, and never holds a token. */
public final class SignInFailed extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** Whether a person was asked to sign in, and did not, or in vain. */
    final boolean personWasAsked;

    SignInFailed(String message) {
        this(message, false);
    }

    SignInFailed(String message, boolean personWasAsked) {
        super(message);
        this.personWasAsked = personWasAsked;
    }

    /** The message alone: qStudio shows this text, where the name of a class helps nobody. */
    @Override
    public String toString() {
        return getMessage();
    }
}
