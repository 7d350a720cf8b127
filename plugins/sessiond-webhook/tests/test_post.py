"""What is said of a request that was not answered."""

import errno
import os
import socket

import httpx
import pytest
from sessiond_webhook.post import fault_of

REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('::1', 443)")
RESET = ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")


def raised_from(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = OSError("All connection attempts failed")
    error.__cause__.__context__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError(), "no answer in time"),
        (httpx.ReadTimeout("secret"), "no answer in time"),
        (httpx.RemoteProtocolError("secret"), "its answer is not HTTP, or broke off"),
        (httpx.ReadError("secret"), "the connection was lost"),
        (OSError("secret"), "the connection was lost"),
        (httpx.ConnectError("no such host"), "cannot connect: no such host"),
        (httpx.ConnectError("x" * 1000), "cannot connect: " + "x" * 200),
        (
            raised_from(httpx.ConnectError("all"), socket.gaierror(-2, "unknown")),
            "cannot connect: all",
        ),
        (
            raised_from(httpx.ConnectError("all"), REFUSED),
            f"cannot connect: {os.strerror(errno.ECONNREFUSED)}",
        ),
        (
            raised_from(httpx.ConnectError("all"), ExceptionGroup("both", [REFUSED, RESET])),
            f"cannot connect: {os.strerror(errno.ECONNRESET)}",
        ),
    ],
)
def test_an_error_is_told_in_words_of_ours(error: Exception, words: str) -> None:
    assert fault_of(error) == words
