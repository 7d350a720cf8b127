package com.timestored.plugins;

/** What qStudio asks who is to log in, each time before it connects. */
public interface DatabaseAuthenticationService {
    ConnectionDetails getonConnectionDetails(ConnectionDetails asEntered);

    String getName();
}
