"""Patch ports: how a localnet port reaches its physical network.

A localnet port names a network, and ovn-bridge-mappings the bridge of this chassis for it. As by the original, a pair
of patch ports connects the two: `patch-<integration bridge>-to-<port>` and `patch-<port>-to-<integration bridge>`, both
with external_ids:ovn-localnet-port.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.controller.local.bridge import ADD_PORT, DROP_PORT
from ovenbird.controller.local.local_data import is_hosted, is_relevant, is_resident, plugged_localnets, resident_in
from ovenbird.controller.local.local_store import progress
from ovenbird.controller.local.notices import warning
from ovenbird.controller.local.settings import integration_bridge, settings
from ovenbird.engine.lookups import find
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.model.sb import PortBinding
from ovenbird.model.vswitch import Bridge, Port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact

KEYS = {"localnet": "ovn-localnet-port", "l2gateway": "ovn-l2gateway-port"}
"""The key of Port.external_ids that marks a patch port, by the type of the logical port."""


def patch_name(port: str, *, bridge: str) -> str:
    """Return the name of the patch port in the integration bridge."""
    return f"patch-{bridge}-to-{port}"


@view
def physical_bridge(port: PortBinding) -> Bridge | None:
    """Return the bridge of a localnet port's network (`ovn-bridge-mappings`); None if this chassis has none."""
    if port.type not in KEYS or not is_hosted(PortBinding.datapath.raw(port)):
        return None
    if port.type == "l2gateway" and port.options.get("l2gateway-chassis") != settings().chassis:
        return None
    name = settings().bridge_mappings.get(port.options.get("network_name", ""))
    found: Bridge | None = find(Bridge.name, name) if name else None
    return found


def pair(port: PortBinding) -> tuple[tuple[Bridge, str, str], ...]:
    """Return bridge, name and peer of each of the two patch ports of a localnet port that is plugged here."""
    outer, inner = physical_bridge(port), integration_bridge()
    if outer is None or inner is None:
        return ()
    here, there = patch_name(port.logical_port, bridge=inner.name), f"patch-{port.logical_port}-to-{inner.name}"
    return (inner, here, there), (outer, there, here)


@rule(PortBinding, when=is_relevant)
def patches(port: PortBinding) -> Iterator[Fact]:
    """Create the pair of patch ports of a localnet port."""
    if port.type not in KEYS or progress().stopping:
        return
    ids = ((KEYS[port.type], port.logical_port),)
    for bridge, name, peer in pair(port):
        if find(Port.name, name) is None:  # where it is, `stale_patch` sees to it that it is in the right bridge
            yield ADD_PORT(bridge=bridge.uuid, name=name, kind="patch", options=(("peer", peer),), ids=ids)


@rule(PortBinding, when=is_relevant)
def unplugged(port: PortBinding) -> Iterator[Fact]:
    """Report a localnet port that a resident port needs, and for whose network this chassis has no bridge.

    A chassis without resident ports on the network needs no bridge: another chassis is its gateway.
    """
    if port.type not in KEYS or physical_bridge(port) is not None:
        return
    datapath = PortBinding.datapath.raw(port)
    if resident_in(datapath) and not plugged_localnets(datapath) if port.type == "localnet" else is_resident(port):
        network = port.options.get("network_name", "")
        yield warning(f"bridge not found for {port.type} port '{port.logical_port}' with network name '{network}'")


@rule(Port)
def stale_patch(port: Port) -> Iterator[Fact]:
    """Remove a patch port whose logical port was deleted or has left this chassis, or that is on the wrong bridge."""
    name = next((value for key in KEYS.values() if (value := port.external_ids.get(key))), "")
    inner = integration_bridge()
    if not name or inner is None:
        return
    bridges = [inner.name, *filter(None, [progress().former_bridge])]
    if port.name not in {each for b in bridges for each in (patch_name(name, bridge=b), f"patch-{name}-to-{b}")}:
        return  # another controller's
    logical = find(PortBinding.logical_port, name)
    places = {(each, bridge.uuid) for bridge, each, _ in pair(logical)} if logical is not None else set()
    for bridge in port.referrers(Bridge.ports):
        if (port.name, bridge.uuid) not in places and progress().settled:
            yield DROP_PORT(bridge=bridge.uuid, port=port.uuid)
