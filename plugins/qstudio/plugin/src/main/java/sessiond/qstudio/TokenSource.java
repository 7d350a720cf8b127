package sessiond.qstudio;

/** Whoever knows the tokens of the person at this machine. */
interface TokenSource {
    /**
     * Returns good credentials, after a sign-in if need be.
     *
     * @param profile of sessiond-login; "" is its default
     * @throws SignInFailed there are none
     */
    Credentials credentials(String profile);
}
