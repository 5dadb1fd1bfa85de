"""One request to a server and its reply, in bounded time: JSON-RPC 1.0 over a unix socket.

Databases speak it (RFC 7047, section 4), and so does the control socket of every Open vSwitch program
(ovs-appctl(8)).
"""

import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from ovenbird.lab.errors import NoAnswerError
from ovenbird.ovsdb.errors import ProtocolError
from ovenbird.ovsdb.jsonrpc import Framer

_CHUNK = 1 << 16  # bytes


def ask(path: Path, method: str, params: Sequence[object] = (), timeout: float = 3.0) -> Any:
    """Ask a server, and return the result that it answers.

    Arguments:
        path: its unix socket.
        method: what to call.
        params: its arguments.
        timeout: seconds for the whole of it.

    Raises:
        NoAnswerError: no server listens, the answer does not come in time, or it is an error.
    """
    deadline = time.monotonic() + timeout
    request = orjson.dumps({"method": method, "params": params, "id": 0})
    framer = Framer()
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.settimeout(timeout)
            connection.connect(str(path))
            connection.sendall(request)
            while True:
                connection.settimeout(max(deadline - time.monotonic(), 0.001))
                data = connection.recv(_CHUNK)
                if not data:
                    raise NoAnswerError("ends the connection without an answer")
                for message in framer.feed(data):
                    if message.get("id") == 0 and "result" in message:  # others are questions of the server's own
                        return _result(message)
        except TimeoutError:
            raise NoAnswerError(f"does not answer within {timeout:g} s") from None
        except (OSError, ProtocolError) as error:
            raise NoAnswerError(f"does not answer: {getattr(error, 'strerror', None) or error}") from error


def _result(message: dict[str, Any]) -> Any:
    if message.get("error") is not None:
        raise NoAnswerError(f"answers with an error: {message['error']}")
    return message["result"]


def transact(path: Path, database: str, *operations: dict[str, Any], timeout: float = 3.0) -> list[dict[str, Any]]:
    """Run operations on a database and return their results (RFC 7047, section 4.1.3).

    Arguments:
        path: the unix socket of its server.
        database: its name.
        operations: what to do.
        timeout: seconds for the whole of it.

    Raises:
        NoAnswerError: as `ask`, or an operation failed.
    """
    results: list[dict[str, Any]] = ask(path, "transact", [database, *operations], timeout)
    for result in results:
        if result and result.get("error"):
            raise NoAnswerError(f"answers with an error: {result['error']} {result.get('details', '')}".rstrip())
    return results


def select(table: str, *columns: str) -> dict[str, Any]:
    """Return the operation that reads columns of all rows of a table."""
    return {"op": "select", "table": table, "where": [], "columns": list(columns)}
