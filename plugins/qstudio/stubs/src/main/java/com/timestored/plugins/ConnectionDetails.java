package com.timestored.plugins;

/** A server as qStudio knows it. Only the shape is qStudio's: its own class is what runs. */
public class ConnectionDetails {
    private final String host;
    private final int port;
    private final String database;
    private final String username;
    private final String password;

    public ConnectionDetails(
            String host, int port, String database, String username, String password) {
        this.host = host;
        this.port = port;
        this.database = database;
        this.username = username;
        this.password = password;
    }

    public String getHost() {
        return host;
    }

    public int getPort() {
        return port;
    }

    public String getDatabase() {
        return database;
    }

    public String getUsername() {
        return username;
    }

    public String getPassword() {
        return password;
    }
}
