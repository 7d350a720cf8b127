package com.timestored.qstudio;

import java.util.List;
import java.util.Properties;

/** Stands where qStudio's own class is, and notes how it was started. */
public final class QStudioLauncher {
    public static List<String> arguments;
    public static Properties properties;

    private QStudioLauncher() {}

    public static void main(String[] args) {
        arguments = List.of(args);
        properties = (Properties) System.getProperties().clone();
    }
}
