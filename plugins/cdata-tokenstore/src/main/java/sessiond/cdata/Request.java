package sessiond.cdata;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/** One request, as the bytes that it is on the wire (RFC 9112, 3). */
final class Request {
    private final StringBuilder head = new StringBuilder();
    private byte[] body = {};

    /**
     * Begins one.
     *
     * @param method GET, PUT, POST or DELETE
     * @param target path and query, escaped
     */
    Request(String method, String target) {
        head.append(method).append(' ').append(target).append(" HTTP/1.1\r\n");
        with("Host", "sessiond");
    }

    /** Adds a field; what it says is ours, and has no line end in it. */
    Request with(String field, String value) {
        head.append(field).append(": ").append(value).append("\r\n");
        return this;
    }

    Request with(byte[] content, String mediaType) {
        body = content;
        return with("Content-Type", mediaType)
                .with("Content-Length", Integer.toString(content.length));
    }

    /** Returns the whole of it. */
    ByteBuffer bytes() {
        byte[] text = (head + "\r\n").getBytes(StandardCharsets.US_ASCII);
        return ByteBuffer.allocate(text.length + body.length).put(text).put(body).flip();
    }
}
