import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from ovenbird.lab.errors import ApiError
from ovenbird.lab.layout import free_port
from ovenbird.lab.neutron import Neutron


class Api(ThreadingHTTPServer):
    """An API that gives prepared answers and keeps the requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, tuple[int, Any]] = {}
        self.asked: list[tuple[str, Any]] = []


class Handler(BaseHTTPRequestHandler):
    server: Api

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        line = f"{self.command} {self.path}"
        self.server.asked.append((line, json.loads(self.rfile.read(length)) if length else None))
        status, body = self.server.answers.get(line, (404, "no such page"))
        data = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - the library's names

    def log_message(self, *arguments: object) -> None:
        """Keep quiet."""


@pytest.fixture
def api() -> Iterator[Api]:
    with Api() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def neutron(api: Api) -> Iterator[Neutron]:
    with Neutron(f"http://127.0.0.1:{api.server_address[1]}") as client:
        yield client


def test_resources_are_made_changed_shown_listed_and_deleted(api: Api, neutron: Neutron) -> None:
    rule = {"id": "r", "security_group_id": "g"}
    api.answers = {
        "POST /v2.0/security-group-rules": (201, {"security_group_rule": rule}),
        "PUT /v2.0/ports/p": (200, {"port": {"id": "p", "name": "n"}}),
        "GET /v2.0/ports/p": (200, {"port": {"id": "p"}}),
        "GET /v2.0/ports?network_id=x": (200, {"ports": [{"id": "p"}]}),
        "DELETE /v2.0/ports/p": (204, None),
    }
    assert neutron.create("security_group_rule", security_group_id="g") == rule
    assert api.asked[-1][1] == {"security_group_rule": {"security_group_id": "g"}}
    assert neutron.update("port", "p", name="n")["name"] == "n"
    assert neutron.show("port", "p") == {"id": "p"}
    assert neutron.list("port", network_id="x") == [{"id": "p"}]
    neutron.delete("port", "p")
    neutron.delete("port", "gone already")


def test_a_refusal_carries_the_reason(api: Api, neutron: Neutron) -> None:
    reason = {"type": "IpAddressGenerationFailure", "message": "No more IP addresses", "detail": ""}
    api.answers = {
        "POST /v2.0/ports": (409, {"NeutronError": reason}),
        "GET /v2.0/ports/p": (500, "<html>"),
    }
    with pytest.raises(ApiError, match=r"IpAddressGenerationFailure \(409\): No more IP addresses") as caught:
        neutron.create("port", network_id="x")
    assert caught.value.status == 409
    with pytest.raises(ApiError, match=r"\(500\): <html>"):
        neutron.show("port", "p")


def test_a_name_must_be_that_of_one_resource(api: Api, neutron: Neutron) -> None:
    api.answers = {
        "GET /v2.0/networks?name=one": (200, {"networks": [{"id": "1"}]}),
        "GET /v2.0/networks?name=two": (200, {"networks": [{"id": "2"}, {"id": "3"}]}),
        "GET /v2.0/networks?name=4": (200, {"networks": []}),
        "GET /v2.0/networks?id=4": (200, {"networks": [{"id": "4"}]}),
        "GET /v2.0/networks?name=none": (200, {"networks": []}),
        "GET /v2.0/networks?id=none": (200, {"networks": []}),
    }
    assert neutron.find("network", "one") == {"id": "1"}
    assert neutron.find("network", "4") == {"id": "4"}
    with pytest.raises(ApiError, match="several networks are named two"):
        neutron.find("network", "two")
    with pytest.raises(ApiError, match="no networks are named none"):
        neutron.find("network", "none")


def test_an_unreachable_api_is_reported() -> None:
    with Neutron(f"http://127.0.0.1:{free_port()}") as neutron:
        assert not neutron.answers
        with pytest.raises(ApiError, match="does not answer"):
            neutron.list("network")
