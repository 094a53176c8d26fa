"""What a client's library raises to the plain cause, as an operator would say it."""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

_CHAINED = ("os_error", "certificate_error", "__cause__", "__context__")
"""Where libraries keep the error below theirs; Elasticsearch's drops all but what Python keeps as the context."""


NO_JSON = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises of bytes that are no JSON, or not of the form that is asked for: in no UTF-8, or too deep."""


class Cause(NamedTuple):
    """Why a server cannot be talked to, as a half sentence, and what is to be done about it."""

    text: str
    remedy: str


_REFUSED = Cause("connection refused", "is it running, and is the address right?")
CLOSED = Cause("it closed the connection", "is it the right port, and is TLS wanted there, or not?")
"""There was a connection, and it ended."""
_DISCONNECTED = ("ServerDisconnectedError", "KafkaConnectionError")
"""Of aiohttp and aiokafka, by their names, so that nobody need load both to name the failure of one."""
_KNOWN: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], Cause], ...] = (
    (socket.gaierror, Cause("its name is not known", "is the name right, and does the DNS know it?")),
    (ConnectionRefusedError, _REFUSED),
    (TimeoutError, Cause("no answer in time", "is the address right, and does a firewall let us through?")),
    ((ConnectionResetError, BrokenPipeError, asyncio.IncompleteReadError), CLOSED),
)


def cause(error: BaseException) -> Cause:
    """The plain cause of a failure to connect, to shake hands or to get an answer."""
    for one in _below(error):
        found = _known(one)
        if found is not None:
            return found
    return Cause(_first_line(error), "is the address right?")


def _below(error: BaseException | None) -> Iterator[BaseException]:
    """The innermost first: that is the one that knows."""
    if error is None:
        return
    inner = next((one for key in _CHAINED if isinstance(one := getattr(error, key, None), BaseException)), None)
    several = getattr(error, "errors", ())
    if inner is None and several and isinstance(several[0], BaseException):
        inner = several[0]
    yield from _below(inner)
    yield error


def _known(error: BaseException) -> Cause | None:
    if isinstance(error, ssl.SSLError):
        return _handshake(error)
    for kind, known in _KNOWN:
        if isinstance(error, kind):
            return known
    if str(error).startswith("Multiple exceptions: [Errno 111]"):  # asyncio's, for a name with several addresses
        return _REFUSED
    if isinstance(error, OSError) and error.errno is not None:
        return Cause(_strerror(error), "is the address right, and is there a way to it?")
    return CLOSED if type(error).__name__ in _DISCONNECTED else None


def _handshake(error: ssl.SSLError) -> Cause:
    if isinstance(error, ssl.SSLCertVerificationError):
        return Cause(f"its certificate is not trusted: {error.verify_message}", "is ca_file the right one?")
    reason = (error.reason or "").replace("_", " ").lower()
    if reason in ("wrong version number", "record layer failure", "packet length too long", "http request"):
        return Cause("it does not speak TLS there", "is it the right port, and is TLS wanted?")
    if "alert" in reason:
        return Cause(f"it refused our TLS handshake ({reason})", "does it want a client certificate?")
    return Cause(f"the TLS handshake failed ({reason or _first_line(error)})", "are the certificates right?")


def _strerror(error: OSError) -> str:
    text = error.strerror or _first_line(error)
    return text[:1].lower() + text[1:]


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).split("\n", 1)[0].rstrip(". ")
