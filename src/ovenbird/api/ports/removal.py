"""The removal of ports: what belongs to a port goes with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.api.ports.fixed_ips import release
from ovenbird.model.cloud import FixedAddress, InactiveBinding, SecurityGroupLog, TapMirror, TapMirrorTunnel

if TYPE_CHECKING:
    from ovenbird.api.databases import Draft
    from ovenbird.model.cloud import Port


def remove_port(draft: Draft, port: Port) -> None:
    """Write the removal of a port: addresses, floating IPs, bindings, mirrors and logs are released or go with it."""
    for fixed in port.referrers(FixedAddress.port):
        release(draft, fixed)
    for inactive in port.referrers(InactiveBinding.port):
        draft.transaction.delete(inactive)
    for mirror in port.referrers(TapMirror.port):
        remove_mirror(draft, mirror)
    for log in port.referrers(SecurityGroupLog.port):
        draft.transaction.delete(log)
    draft.transaction.delete(port)


def remove_mirror(draft: Draft, mirror: TapMirror) -> None:
    """Write the removal of a tap mirror with its tunnels."""
    for tunnel in mirror.referrers(TapMirrorTunnel.mirror):
        draft.transaction.delete(tunnel)
    draft.transaction.delete(mirror)
