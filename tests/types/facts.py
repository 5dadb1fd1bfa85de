"""What the type checker says of the facts that rules yield; see `lookups`."""

from typing import NamedTuple, assert_type

from ovenbird.engine.facts import KeyRows, Members, NamedRows, Pairs, Relation
from ovenbird.engine.rows import UUID
from ovenbird.model import sb


class Row(NamedTuple):
    relation: Relation
    name: str
    tunnel_key: int
    options: Pairs = ()


KEPT = KeyRows(sb.FDB)
NAMED = NamedRows(sb.PortBinding, Row, key=sb.PortBinding.logical_port)
PAIR = NamedRows(sb.PortBinding, Row, key=(sb.PortBinding.logical_port, sb.PortBinding.datapath))
PORTS = Members(NAMED, sb.MulticastGroup.ports)


def columns(uuid: UUID) -> None:
    assert_type(NAMED("a", tunnel_key=1), Row)
    NAMED("a")  # type: ignore[call-arg]
    NAMED("a", tunnel_key="1")  # type: ignore[arg-type]
    NAMED("a", tunnel_key=1, option=())  # type: ignore[call-arg]
    NAMED("a", tunnel_key=1, options={"a": "b"})  # type: ignore[arg-type]
    KEPT(uuid)
    KEPT("a")  # type: ignore[arg-type]


def keys(uuid: UUID) -> None:
    assert_type(NAMED.uuid("a"), UUID)
    assert_type(PAIR.uuid(("a", uuid)), UUID)
    PAIR.uuid("a")  # type: ignore[arg-type]
    PAIR.uuid((uuid, "a"))  # type: ignore[arg-type]


def elements(uuid: UUID) -> None:
    PORTS("a", uuid)
    PORTS("a", "b")  # type: ignore[arg-type]
    PORTS(1, uuid)  # type: ignore[arg-type]
