"""Checks of allowed address pairs: addresses that may not be shared, and restrictions on ports that share theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.api.errors.port import BadPortRequest
from ovenbird.api.errors.request import InvalidInput
from ovenbird.api.ports.service_ports import METADATA_OWNER, metadata_device
from ovenbird.model.cloud import FixedAddress, Port
from ovenbird.model.shared_address import shared_address, single_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ovenbird.api.databases import Databases


def check_metadata(databases: Databases, network: str, pairs: Iterable[Mapping[str, Any]]) -> None:
    """Check that no pair has the address of a network's metadata service.

    Arguments:
        databases: where the network's metadata port is looked for.
        network: its id.
        pairs: allowed address pairs, as the request has them.

    Raises:
        InvalidInput: a pair has it.
    """
    wanted = {single_address(pair["ip_address"]) for pair in pairs}
    if not wanted:
        return
    for port in databases.store.table(Port).select(Port.device_id, metadata_device(network)):
        if port.device_owner == METADATA_OWNER:
            taken = wanted.intersection(fixed.address for fixed in port.referrers(FixedAddress.port))
            if taken:
                used = f"IP addresses '{';'.join(sorted(taken))}' already used by the '{METADATA_OWNER}' port(s)"
                raise InvalidInput(error_message=f"{used} in the same network")


def check_stays_shared(row: Port, values: Mapping[str, Any]) -> None:
    """Check that a port whose address is an address pair of other ports (a virtual port) is not bound to an instance.

    A request that binds a port to an instance sets device and host together, and the port is then on that host alone.

    Raises:
        BadPortRequest: it is.
    """
    device, host = values.get("device_id", row.device_id), values.get("binding:host_id", row.host)
    if device == row.device_id or host == row.host or not host:
        return
    if shared_address(row, sorted(fixed.address for fixed in row.referrers(FixedAddress.port))) is not None:
        raise BadPortRequest(reason="A virtual logical switch port cannot be bound to a host")
