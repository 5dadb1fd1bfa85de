import socket
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ovenbird.lab.errors import NoAnswerError
from ovenbird.lab.rpc import ask, select, transact


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        yield Path(short) / "x"


def _answers(path: Path, *said: bytes) -> object:
    """Ask a server that says this and no more."""

    def serve() -> bytes:
        connection, _ = server.accept()
        with connection:
            heard = connection.recv(1000)
            for part in said:
                connection.sendall(part)
            return heard

    with socket.socket(socket.AF_UNIX) as server, ThreadPoolExecutor(1) as pool:
        server.bind(str(path))
        server.listen()
        heard = pool.submit(serve)
        try:
            return ask(path, "version", timeout=60)
        finally:
            assert heard.result() == b'{"method":"version","params":[],"id":0}'


def test_the_answer_is_found_among_the_servers_own_questions(path: Path) -> None:
    assert (
        _answers(path, b'{"id":"echo","method":"echo","params":[]}{"id":0,"re', b'sult":"1.2","error":null}') == "1.2"
    )


@pytest.mark.parametrize(
    ("said", "what"),
    [
        (b'{"id":0,"result":null,"error":"unknown method"}', "answers with an error: unknown method"),
        (b"", "ends the connection without an answer"),
        (b"HTTP/1.1 400 Bad Request\r\n", "does not answer: "),
    ],
)
def test_answers_of_another_form_are_errors(path: Path, said: bytes, what: str) -> None:
    with pytest.raises(NoAnswerError, match=f"^{what}"):
        _answers(path, said)


def test_a_missing_or_silent_server_is_reported_in_time(path: Path) -> None:
    with pytest.raises(NoAnswerError, match="does not answer: No such file"):
        ask(path, "version")
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))
        silent.listen()
        with pytest.raises(NoAnswerError, match=r"does not answer within 0\.05 s"):
            transact(path, "Cloud", select("Cloud_Global", "_uuid"), timeout=0.05)
