"""JSON-RPC 1.0 framing as OVSDB uses it (RFC 7047, section 4): bytes in, messages out, no I/O.

Messages follow one another with or without white space between. In valid JSON a `}` followed by a `{` outside of a
string can only be the border of two messages, since within an array or object a comma stands between. A chunk that has
neither such a border nor a final `}` cannot end a message and is not examined: the contents of a database arrive as one
message of many chunks. Where a message may end, the JSON parser, which is ten times as fast as anything else here, is
tried. After too many failed attempts, chunks are examined by whole-chunk operations (strings removed by one regular
expression, braces counted), and token by token where a message ends inside one. The cost is linear in the bytes,
whatever the peer sends.
"""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

from ovenbird.ovsdb.errors import ProtocolError

_NUL = rb"\u0000"
_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""U+0000 as a JSON escape, not an escaped backslash before `u0000`."""

MAX_MESSAGE = 1 << 30
"""Maximum bytes of one message; ovsdb-server has no limit."""

_LOOKS = 4
"""How many times an incomplete message may be parsed."""
_SMALL = 8
"""The maximum ratio of the remaining bytes to a message for which they are moved to the front."""

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_REST_OF_STRING = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_SEAM = re.compile(rb"\}\s*\{")
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[{}]', re.DOTALL)  # a string may be open at the end
_SPACE = b" \t\r\n"


class Framer:
    """Splits a byte stream into JSON objects.

    `feed` returns the messages that became complete; what remains waits for more bytes.

    Arguments:
        most: bytes that one message may have.
    """

    __slots__ = ("_depth", "_escape", "_in_string", "_most", "_parts", "_spent", "_unseen", "pending")

    def __init__(self, most: int = MAX_MESSAGE) -> None:
        self._most = most
        self._unseen: list[bytes] = []  # chunks of the message under way that have not been scanned, while none has
        self._spent = 0  # bytes of them that were parsed in vain
        self._parts: list[bytes] = []  # scanned bytes of the message under way
        self._depth = 0  # braces open in them
        self._in_string = False  # whether they end inside a string
        self._escape = b""  # the backslash that ended the last chunk
        self.pending = 0
        """How many bytes of an incomplete message are buffered."""

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Process bytes of the stream and return the messages that they complete.

        Raises:
            ProtocolError: they are not JSON objects, or one is longer than `most`.
        """
        answer: list[dict[str, Any]] = []
        if not self._parts and (self._unseen or data.startswith(b"{")):
            if not data.rstrip(_SPACE).endswith(b"}") and _SEAM.search(data) is None:
                self._unseen.append(data)
                self._count(len(data))
                return answer
            data = self._parse(b"".join([*self._unseen, data]) if self._unseen else data, answer)
        if self._in_string:
            data = self._finish_string(self._escape + data)
        while data:
            data = self._scan(data, answer)
        self._count(0)
        return answer

    def _parse(self, data: bytes, answer: list[dict[str, Any]]) -> bytes:
        """Extract messages by parsing; return the bytes to scan instead, because parsing would cost too much."""
        self._unseen, self.pending = [], 0
        while data:
            try:
                message = _load(data)
                end = len(data)
            except orjson.JSONDecodeError as error:
                end = error.pos
                if error.msg.startswith("unexpected end") and self._spent < _LOOKS * len(data):
                    self._spent += len(data)
                    self._unseen.append(data)
                    self._count(len(data))
                    return b""
                if not error.msg.startswith("unexpected content") or len(data) > _SMALL * end or not data.isascii():
                    return data
                message = _load(data[:end])
            self._spent = 0
            answer.append(message)
            data = data[end:].lstrip(_SPACE)
        return b""

    def _count(self, more: int) -> None:
        self.pending += more
        if self.pending > self._most:
            raise ProtocolError(f"message exceeds {self._most} bytes")

    def _finish_string(self, data: bytes) -> bytes:
        """Consume the rest of an open string; return what follows it."""
        found = _REST_OF_STRING.match(data)
        if found is None:
            self._keep_open(data)
            return b""
        self._in_string, self._escape = False, b""
        self._keep(data[: found.end()], 0)
        return data[found.end() :]

    def _scan(self, chunk: bytes, answer: list[dict[str, Any]]) -> bytes:
        """Consume a chunk, or all its complete messages when it has any; return what follows those."""
        if not self.pending:
            chunk = chunk.lstrip(_SPACE)
            if not chunk:
                return b""
            if not chunk.startswith(b"{"):
                raise ProtocolError(f"expected a JSON object, not {chunk[:40]!r}")
        bare = _STRING.sub(b"", chunk)
        opened = bare.find(b'"')
        if opened >= 0:
            bare = bare[:opened]
        change = bare.count(b"{") - bare.count(b"}")
        if self._depth + change <= 0 or _SEAM.search(bare) is not None:
            return self._split(chunk, answer)
        if opened >= 0:
            self._depth += change
            self._keep_open(chunk)
        else:
            self._keep(chunk, change)
        return b""

    def _split(self, chunk: bytes, answer: list[dict[str, Any]]) -> bytes:
        """Take every message that ends in the chunk; return what follows the last."""
        depth, start = self._depth, 0
        for token in _TOKEN.finditer(chunk):
            first = token[0]
            if first == b"{":
                depth += 1
            elif first == b"}":
                depth -= 1
                if depth <= 0:
                    self._parts.append(chunk[start : token.end()])
                    start = token.end()
                    answer.append(self._take())
                    depth = 0
        return chunk[start:]

    def _take(self) -> dict[str, Any]:
        text = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts, self._depth, self.pending = [], 0, 0
        try:
            return _load(text)
        except orjson.JSONDecodeError as error:
            raise ProtocolError(f"malformed JSON: {error}") from error

    def _keep(self, chunk: bytes, change: int) -> None:
        self._parts.append(chunk)
        self.pending += len(chunk)
        self._depth += change

    def _keep_open(self, chunk: bytes) -> None:
        """Keep a chunk that ends inside a string; a backslash at its end waits for what it escapes."""
        backslashes = len(chunk) - len(chunk.rstrip(b"\\"))
        self._escape = b"\\" if backslashes % 2 else b""
        self._in_string = True
        self._keep(chunk[: len(chunk) - len(self._escape)], 0)


def has_nul(text: bytes) -> bool:
    """Return whether a JSON text has a string with U+0000, which RFC 7047, section 3.1, does not allow."""
    return _NUL in text and _ESCAPED_NUL.search(text) is not None


def _load(text: bytes) -> dict[str, Any]:
    """Return the message that a JSON text is.

    Raises:
        orjson.JSONDecodeError: it is not JSON.
        ProtocolError: it is no object, or no string that OVSDB has.
    """
    message = orjson.loads(text)
    if type(message) is not dict:
        raise ProtocolError("a JSON-RPC message is an object")
    if has_nul(text):
        raise ProtocolError("a string contains U+0000 (RFC 7047, section 3.1)")
    return message


def encode(value: Any) -> bytes:
    """Return the JSON text of a value, which may come from a peer: deeply nested, or with integers of any size.

    Raises:
        ProtocolError: it is nested too deeply, or has a string that is not Unicode.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        try:
            return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        except (RecursionError, UnicodeEncodeError, TypeError) as error:
            raise ProtocolError(f"a value cannot be written as JSON: {error}") from error


def request(method: str, params: Any, *, id_: Any) -> bytes:
    """Return the bytes of a request.

    Arguments:
        method: its name.
        params: its parameters, an array.
        id_: what the answer will be known by, anything but null.
    """
    return encode({"id": id_, "method": method, "params": params})


def notification(method: str, params: Any) -> bytes:
    """Return the bytes of a notification."""
    return orjson.dumps({"id": None, "method": method, "params": params})


def reply(result: Any, *, id_: Any) -> bytes:
    """Return the bytes of a successful reply."""
    return encode({"id": id_, "result": result, "error": None})


def error_reply(error: Any, *, id_: Any) -> bytes:
    """Return the bytes of an error reply."""
    return encode({"id": id_, "result": None, "error": error})
