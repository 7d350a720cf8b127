package sessiond.qstudio;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Reads one JSON object (RFC 8259) whose members are texts, numbers, true, false or null. */
final class FlatJson {
    private static final int MAX_MEMBERS = 32;
    private static final Pattern NUMBER =
            Pattern.compile("-?(?:0|[1-9][0-9]*)(?:\\.[0-9]+)?(?:[eE][+-]?[0-9]+)?");
    private static final String ESCAPED = "\"\\/bfnrt";
    private static final String MEANT = "\"\\/\b\f\n\r\t";

    private final String text;
    private int at;

    private FlatJson(String text) {
        this.text = text;
    }

    /**
     * Returns the members by name: String, Double, Boolean or null.
     *
     * @throws IllegalArgumentException it is no such object; the message says where, and quotes
     *     nothing
     */
    static Map<String, Object> read(String text) {
        FlatJson reader = new FlatJson(text);
        Map<String, Object> members = reader.object();
        reader.space();
        if (reader.at != text.length()) {
            throw reader.wrong("something after the object");
        }
        return members;
    }

    private Map<String, Object> object() {
        Map<String, Object> members = new LinkedHashMap<>();
        space();
        expect('{');
        if (next('}')) {
            return members;
        }
        do {
            space();
            String name = string();
            if (members.containsKey(name) || members.size() == MAX_MEMBERS) {
                throw wrong("a member twice, or too many");
            }
            space();
            expect(':');
            members.put(name, value());
        } while (next(','));
        expect('}');
        return members;
    }

    private Object value() {
        space();
        if (text.startsWith("\"", at)) {
            return string();
        }
        if (literal("true")) {
            return Boolean.TRUE;
        }
        if (literal("false")) {
            return Boolean.FALSE;
        }
        if (literal("null")) {
            return null;
        }
        Matcher number = NUMBER.matcher(text).region(at, text.length());
        if (!number.lookingAt()) {
            throw wrong("no text, number, true, false or null");
        }
        at = number.end();
        return Double.valueOf(number.group());
    }

    private String string() {
        expect('"');
        StringBuilder read = new StringBuilder();
        while (true) {
            char c = take();
            if (c == '"') {
                return read.toString();
            }
            if (c < ' ') {
                throw wrong("a control character in a text");
            }
            read.append(c == '\\' ? escaped() : c);
        }
    }

    private char escaped() {
        char c = take();
        int known = ESCAPED.indexOf(c);
        if (known >= 0) {
            return MEANT.charAt(known);
        }
        if (c != 'u') {
            throw wrong("an unknown escape");
        }
        int code = 0;
        for (int i = 0; i < 4; i++) {
            char digit = take();
            int value = digit < 128 ? Character.digit(digit, 16) : -1;
            if (value < 0) {
                throw wrong("an unknown escape");
            }
            code = code * 16 + value;
        }
        return (char) code;
    }

    private boolean next(char wanted) {
        space();
        if (at < text.length() && text.charAt(at) == wanted) {
            at++;
            return true;
        }
        return false;
    }

    private void expect(char wanted) {
        if (at == text.length() || text.charAt(at) != wanted) {
            throw wrong("no " + wanted);
        }
        at++;
    }

    private boolean literal(String word) {
        if (!text.startsWith(word, at)) {
            return false;
        }
        at += word.length();
        return true;
    }

    private char take() {
        if (at == text.length()) {
            throw wrong("it ends in a text");
        }
        return text.charAt(at++);
    }

    private void space() {
        while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
    }

    private IllegalArgumentException wrong(String what) {
        return new IllegalArgumentException(what + " at character " + at);
    }
}
