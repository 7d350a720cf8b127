package sessiond.cdata;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.ProtocolException;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Reads one answer (RFC 9112), strictly: CRLF line ends, a body with a Content-Length or in chunks,
 * everything bounded. What is anything else is a ProtocolException, after which nothing more may be
 * read from the connection.
 */
final class AnswerReader {
    /** Where the bytes come from. */
    interface Source {
        /**
         * Returns the next byte, 0 to 255.
         *
         * @throws AnswerLost none will come
         * @throws TimedOut none came in time
         */
        int next() throws IOException;
    }

    private static final int MAX_HEAD = 16_384; // bytes, with chunk sizes and trailers
    private static final int MAX_BODY = 262_144; // bytes
    private static final int NO_CONTENT = 204;
    private static final Pattern STATUS = Pattern.compile("HTTP/1\\.1 ([1-5][0-9]{2})(?: .*)?");
    private static final Pattern FIELD =
            Pattern.compile("([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*");
    private static final Pattern CHUNK = Pattern.compile("([0-9A-Fa-f]{1,8})(?:[ \t]*;.*)?");

    private final Source source;
    private int headLeft = MAX_HEAD;
    private long length; // of the body; -1: nothing says so
    private boolean isChunked;
    private boolean endsConnection;

    private AnswerReader(Source source) {
        this.source = source;
    }

    /**
     * Returns the next answer; what only announces one (1xx) is passed over.
     *
     * @throws ProtocolException it is no such answer; the message quotes nothing of it
     */
    static Answer read(Source source) throws IOException {
        return new AnswerReader(source).answer();
    }

    private Answer answer() throws IOException {
        int status = head();
        while (status < 200) {
            status = head();
        }
        return new Answer(status, body(status), endsConnection);
    }

    private int head() throws IOException {
        length = -1;
        isChunked = false;
        Matcher status = STATUS.matcher(line());
        if (!status.matches()) {
            throw wrong("its first line is no status of HTTP/1.1");
        }
        for (String line = line(); !line.isEmpty(); line = line()) {
            Matcher field = FIELD.matcher(line);
            if (!field.matches()) {
                throw wrong("a line of its head is no field");
            }
            heed(field.group(1).toLowerCase(Locale.ROOT), field.group(2));
        }
        return Integer.parseInt(status.group(1));
    }

    private void heed(String field, String value) throws ProtocolException {
        switch (field) {
            case "content-length" -> {
                if (length >= 0 || !value.matches("[0-9]{1,9}")) {
                    throw wrong("its Content-Length is there twice, or no number");
                }
                length = Long.parseLong(value);
            }
            case "transfer-encoding" -> {
                if (isChunked || !value.equalsIgnoreCase("chunked")) {
                    throw wrong("its Transfer-Encoding is not chunked, once");
                }
                isChunked = true;
            }
            case "connection" -> endsConnection |= value.equalsIgnoreCase("close");
            default -> {} // says nothing about where the answer ends
        }
    }

    private byte[] body(int status) throws IOException {
        if (status == NO_CONTENT) {
            return new byte[0];
        }
        if (isChunked == (length >= 0)) {
            throw wrong("it has not one of Content-Length and Transfer-Encoding");
        }
        ByteArrayOutputStream body = new ByteArrayOutputStream();
        if (isChunked) {
            chunks(body);
        } else {
            copy(length, body);
        }
        return body.toByteArray();
    }

    private void chunks(ByteArrayOutputStream body) throws IOException {
        for (long size = chunkSize(); size > 0; size = chunkSize()) {
            copy(size, body);
            if (!line().isEmpty()) {
                throw wrong("a chunk is longer than it says");
            }
        }
        while (!line().isEmpty()) {} // trailers
    }

    private long chunkSize() throws IOException {
        Matcher size = CHUNK.matcher(line());
        if (!size.matches()) {
            throw wrong("the size of a chunk is no number");
        }
        return Long.parseLong(size.group(1), 16);
    }

    private void copy(long size, ByteArrayOutputStream body) throws IOException {
        if (body.size() + size > MAX_BODY) {
            throw wrong("its body is longer than " + MAX_BODY + " bytes");
        }
        for (long i = 0; i < size; i++) {
            body.write(source.next());
        }
    }

    private String line() throws IOException {
        StringBuilder line = new StringBuilder();
        for (int c = counted(); c != '\r'; c = counted()) {
            if (c == '\n') {
                throw wrong("a line ends without a carriage return");
            }
            line.append((char) c); // ISO-8859-1; nothing but ASCII means anything to us
        }
        if (counted() != '\n') {
            throw wrong("a carriage return ends no line");
        }
        return line.toString();
    }

    private int counted() throws IOException {
        if (headLeft-- == 0) {
            throw wrong("its head is longer than " + MAX_HEAD + " bytes");
        }
        return source.next();
    }

    private static ProtocolException wrong(String what) {
        return new ProtocolException("the answer is not as HTTP/1.1 has it: " + what);
    }
}
