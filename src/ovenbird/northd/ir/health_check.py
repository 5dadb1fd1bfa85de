"""Health checks of load balancers: the backends that chassis probe, and the results.

ovn-nb(5), Load_Balancer, `health_check` and `ip_port_mappings`; Load_Balancer_Health_Check. A backend is probed at the
switch port that `ip_port_mappings` names, from an unused address in its subnet. A backend that is not mapped, or whose
port does not exist or is disabled, gets no connections. One without a result yet gets connections, as in OVN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.lookups import find, table
from ovenbird.model import nb, sb
from ovenbird.namedtuple import NamedTuple
from ovenbird.northd.ir.socket_address import parse_endpoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ovenbird.northd.ir.socket_address import SocketAddress

PROBED_PROTOCOLS = ("tcp", "udp")

_SM = sb.ServiceMonitor


class Probe(NamedTuple):
    """A probe of one backend.

    Arguments:
        port: the name of the switch port that it is behind.
        backend: its address and port.
        protocol: `tcp` or `udp`.
        source: the source IP address of the probes.
        options: the options of the health check, in order.
    """

    port: str
    backend: SocketAddress
    protocol: str
    source: str
    options: tuple[tuple[str, str], ...]

    def passes(self) -> bool:
        """Return whether the backend gets connections, as far as is known."""
        key = (self.port, self.backend.ip, int(self.backend.port), self.protocol)
        found = table(_SM).index(_SM.logical_port, _SM.ip, _SM.port, _SM.protocol).rows(key)
        return all(row.status in (None, "online") for row in found)


class HealthCheck(NamedTuple):
    """The health check of one virtual address.

    Arguments:
        protocol: `tcp` or `udp`.
        options: the interval of the probes and the criteria of the result.
        mappings: by a backend's IP address, the name of its port and the source IP address of the probes.
    """

    protocol: str
    options: tuple[tuple[str, str], ...]
    mappings: dict[str, tuple[str, str]]

    def probes(self, backends: Iterable[SocketAddress], troubles: list[str]) -> dict[SocketAddress, Probe]:
        """Return the probes of those backends that can be probed.

        Arguments:
            backends: the backends of the virtual address.
            troubles: a list that receives the reason for each backend that cannot be probed.
        """
        found = {}
        for backend in backends:
            port, source = self.mappings.get(backend.ip, ("", ""))
            lsp = find(nb.LogicalSwitchPort.name, port) if port else None
            if lsp is None:
                what = (
                    f"its port {port} does not exist" if port else "no entry of ip_port_mappings says how to probe it"
                )
                troubles.append(f"backend {backend} gets no connections: {what}")
            elif lsp.enabled is not False:
                found[backend] = Probe(
                    port=port, backend=backend, protocol=self.protocol, source=source, options=self.options
                )
        return found


def health_checks(
    row: nb.LoadBalancer, vips: Sequence[SocketAddress], troubles: list[str]
) -> dict[SocketAddress, HealthCheck]:
    """Return the health checks of a load balancer by virtual address.

    Arguments:
        row: the load balancer.
        vips: its virtual addresses.
        troubles: a list that receives the reason for each health check that is ignored.
    """
    protocol, found = row.protocol or "tcp", {}
    mappings = _mappings(row)
    for check in row.health_check:
        at = parse_endpoint(check.vip)
        if at is None or at not in vips:
            troubles.append(f"the health check of {check.vip!r} is left out: there is no such virtual address")
        elif not at.port or protocol not in PROBED_PROTOCOLS:
            troubles.append(f"the health check of {at} is left out: only TCP and UDP ports can be probed")
        else:
            options = tuple(sorted(check.options.items()))
            found[at] = HealthCheck(protocol=protocol, options=options, mappings=mappings)
    return found


def _mappings(row: nb.LoadBalancer) -> dict[str, tuple[str, str]]:
    """Return the ports and source addresses of the valid entries of `ip_port_mappings`."""
    found = {}
    for key, value in sorted(row.ip_port_mappings.items()):
        port, _, text = value.partition(":")
        backend, source = parse_endpoint(key), parse_endpoint(text)
        if not port or backend is None or source is None or backend.port or source.port:
            continue
        if backend.six is source.six:
            found[backend.ip] = (port, source.ip)
    return found
