"""The layout of one lab: every name, path, address and port in it, decided before anything is made.

Two labs on one machine never meet, because everything in a layout follows from its run directory: the default one has
short names; any other has a prefix and an underlay subnet of its own. Nothing here touches the machine.
"""

import hashlib
import os
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ovenbird.dataclass import dataclass
from ovenbird.lab.errors import LayoutError

DEFAULT_RUNDIR = Path("/run/ovenbird")
DEFAULT_HOSTS = ("hv1", "hv2")
DEFAULT_PREFIX = "ob-"

UNDERLAY_MTU = 1600
"""Bytes; room for Geneve over IPv4 with OVN's one option (58 bytes) around a full Ethernet frame."""

INSTANCE_MTU = 1442
"""Bytes; what OVN and Neutron give to Geneve networks on an underlay of 1500."""

_RUNDIR_LIMIT = 64  # a unix socket's path has at most 107 bytes, and the longest name below a run directory has some 40
_HOST_NAME = re.compile(r"(?!.*ovnmeta-)(?!vm-)[a-z][a-z0-9-]{0,14}")
_TAKEN = frozenset(("underlay", "outside", "hosts", "instances", "processes", "boots"))
"""Names of a lab's own namespaces and directories, which hosts cannot have."""
_PREFIX = re.compile(r"(?!.*ovnmeta-)[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_INSTANCE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


def default_rundir() -> Path:
    """Return the default run directory of commands: OVENBIRD_RUNDIR, or /run/ovenbird."""
    return Path(os.environ.get("OVENBIRD_RUNDIR") or DEFAULT_RUNDIR)


def free_port() -> int:
    """Return a TCP port on 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def port_is_free(port: int) -> bool:
    """Return whether a TCP port of 127.0.0.1 is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _check_host(name: str) -> None:
    """Check the name of a hypervisor.

    Raises:
        LayoutError: it is unusable.
    """
    if not _HOST_NAME.fullmatch(name):
        raise LayoutError(f"a host cannot be named {name!r}: lower-case letters, digits and dashes, at most 15")
    if name in _TAKEN:
        raise LayoutError(f"a host cannot be named {name!r}: the lab has something of that name")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """All names, paths, addresses and ports of one lab.

    Arguments:
        rundir: absolute directory that holds every socket, log and record of the lab.
        hosts: names of the hypervisors, in order.
        prefix: of the names of the lab's network namespaces.
        subnet: the underlay's first three octets; it is a /24.
        api_port: TCP port of the network API on 127.0.0.1.
        nb_port: TCP port of Northbound on 127.0.0.1, 0 for none; likewise `sb_port` and `cloud_port`.
        gateways: the hosts with a cable to the outside world.
        metadata: whether the hosts run the metadata service.
    """

    rundir: Path
    hosts: tuple[str, ...]
    prefix: str
    subnet: str
    api_port: int
    nb_port: int
    sb_port: int
    cloud_port: int
    gateways: tuple[str, ...] = ()
    metadata: bool = False

    @classmethod
    def make(
        cls,
        rundir: Path,
        hosts: Sequence[str] = DEFAULT_HOSTS,
        *,
        gateways: Sequence[str] = (),
        metadata: bool = False,
        prefix: str | None = None,
        api_port: int = 0,
        nb_port: int = 0,
        sb_port: int = 0,
        cloud_port: int = 0,
    ) -> "Layout":
        """Make the layout of a lab.

        Arguments:
            rundir: its run directory.
            hosts: the hypervisors' names: lower-case letters, digits and dashes, at most 15.
            gateways: the hosts with a cable to the outside world.
            metadata: whether the hosts run the metadata service.
            prefix: of the namespaces' names; derived from the run directory when None.
            api_port: 0 picks a free one.
            nb_port: of Northbound; 0 means no TCP port.
            sb_port: of Southbound, likewise.
            cloud_port: of Cloud, likewise.

        Raises:
            LayoutError: the run directory's path is too long for unix sockets, or the prefix or a host's name unusable.
        """
        rundir = rundir.absolute()
        if len(os.fsencode(rundir)) > _RUNDIR_LIMIT:
            raise LayoutError(f"the run directory {rundir} is too long for unix sockets: at most {_RUNDIR_LIMIT} bytes")
        if prefix is not None and not _PREFIX.fullmatch(prefix):
            raise LayoutError(
                f"namespaces' names cannot begin with {prefix!r}: letters, digits, '.', '-', '_', at most 32"
            )
        for host in hosts:
            _check_host(host)
        if not hosts or len(set(hosts)) != len(hosts) or len(hosts) > 200:
            raise LayoutError(f"a lab has 1 to 200 hosts of different names, not {list(hosts)}")
        if unknown := set(gateways) - set(hosts):
            raise LayoutError(f"no such host: {', '.join(sorted(unknown))}")
        digest = hashlib.sha256(os.fsencode(rundir)).digest()
        default = rundir == DEFAULT_RUNDIR
        return cls(
            rundir=rundir,
            hosts=tuple(hosts),
            prefix=prefix or (DEFAULT_PREFIX if default else f"ob{digest[:4].hex()}-"),
            subnet=f"10.250.{0 if default else 1 + digest[4] % 254}",
            api_port=api_port or free_port(),
            nb_port=nb_port,
            sb_port=sb_port,
            cloud_port=cloud_port,
            gateways=tuple(gateways),
            metadata=metadata,
        )

    def with_host(self, host: str, *, gateway: bool) -> "Layout":
        """Return the layout with one more hypervisor.

        Raises:
            LayoutError: its name is unusable or taken.
        """
        _check_host(host)
        if host in self.hosts:
            raise LayoutError(f"a host named {host} exists already")
        if len(self.hosts) == 200:
            raise LayoutError("a lab has at most 200 hosts")
        gateways = (*self.gateways, host) if gateway else self.gateways
        return replace(self, hosts=(*self.hosts, host), gateways=gateways)

    def to_json(self) -> dict[str, Any]:
        """Return the layout as the state file keeps it."""
        return {**asdict(self), "rundir": str(self.rundir), "hosts": list(self.hosts), "gateways": list(self.gateways)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Layout":
        """Read what `to_json` wrote."""
        names = {name: tuple(value[name]) for name in ("hosts", "gateways")}
        return cls(**{**value, **names, "rundir": Path(value["rundir"])})

    @property
    def api(self) -> str:
        """The API's URL."""
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def owner(self) -> str:
        """The owner that is recorded in the lab's namespaces."""
        return str(self.rundir)

    @property
    def underlay(self) -> str:
        """The namespace of the underlay."""
        return f"{self.prefix}underlay"

    @property
    def outside(self) -> str:
        """The namespace of the outside world."""
        return f"{self.prefix}outside"

    def socket(self, database: str) -> Path:
        """Return the unix socket of the `nb`, `sb` or `cloud` database."""
        return self.rundir / f"{database}.sock"

    def journal(self, database: str) -> Path:
        """Return the file of the `nb`, `sb` or `cloud` database."""
        return self.rundir / f"{database}.db"

    def remote(self, database: str) -> str:
        """Return the `nb`, `sb` or `cloud` database's address as `ovn-nbctl --db` takes it."""
        return f"unix:{self.socket(database)}"

    def tcp_port(self, database: str) -> int:
        """Return the TCP port of the `nb`, `sb` or `cloud` database, 0 for none."""
        return {"nb": self.nb_port, "sb": self.sb_port, "cloud": self.cloud_port}[database]

    @property
    def instance_prefix(self) -> str:
        """The prefix of the names of instances' namespaces."""
        return f"{self.prefix}vm-"

    def host_namespace(self, host: str) -> str:
        """Return the namespace of a hypervisor."""
        return f"{self.prefix}{host}"

    def metadata_prefix(self, host: str) -> str:
        """Return the prefix of the names of a hypervisor's metadata namespaces, before `ovnmeta-`."""
        return f"{self.host_namespace(host)}-"

    def metadata_namespaces(self, host: str) -> str:
        """Return the prefix of the names of a hypervisor's metadata namespaces."""
        return f"{self.metadata_prefix(host)}ovnmeta-"

    @property
    def boots(self) -> Path:
        """Return the directory of the instances' boot data."""
        return self.rundir / "boots"

    def host_rundir(self, host: str) -> Path:
        """Return the run directory of a hypervisor's own programs."""
        return self.rundir / host

    def host_number(self, host: str) -> int:
        """Return a hypervisor's number, from 1."""
        return self.hosts.index(host) + 1

    def encap_address(self, host: str) -> str:
        """Return a hypervisor's address on the underlay."""
        return f"{self.subnet}.{self.host_number(host)}"

    def encap_mac(self, host: str) -> str:
        """Return the MAC address for it, which is fixed, so that neighbours need not learn it again."""
        return f"02:0b:00:{int(self.subnet.rsplit('.', 1)[1]):02x}:00:{self.host_number(host):02x}"

    def busy_ports(self) -> list[int]:
        """Return those of the layout's TCP ports that are in use."""
        ports = (self.api_port, self.nb_port, self.sb_port, self.cloud_port)
        return [port for port in ports if port and not port_is_free(port)]

    def instance_namespace(self, instance: str) -> str:
        """Return the namespace of an instance.

        Raises:
            LayoutError: the name is unusable for a namespace or directory.
        """
        if not _INSTANCE_NAME.fullmatch(instance):
            raise LayoutError(f"an instance cannot be named {instance!r}: letters, digits, '.', '-', '_', at most 63")
        return f"{self.instance_prefix}{instance}"

    def instance_rundir(self, instance: str) -> Path:
        """Return the directory of an instance's lease and logs."""
        return self.rundir / "instances" / instance
