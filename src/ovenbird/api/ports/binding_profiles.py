"""Checks of binding profiles, the same as those of Neutron's OVN driver.

Nova, trunks and operators write into `binding:profile`. Keys that belong together must be given together, with the
types that OVN needs; keys that OVN does not use are kept unchanged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from ovenbird.api.errors.port import PortNotFound
from ovenbird.api.errors.request import InvalidInput
from ovenbird.api.values import mapping
from ovenbird.engine.rows import UUID
from ovenbird.model.binding_profile import CAPABILITIES, LOGICAL_SWITCH, MOST_TAG, OFFLOADED, PARENT, SWITCH, TAG
from ovenbird.model.cloud import Port
from ovenbird.model.sub_ports import place_in_trunk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.api.databases import Databases


class Keys(NamedTuple):
    """Keys that are given together.

    Arguments:
        types: the type of each key's value.
        vnic_type: the only VNIC type that they are checked for; empty for any.
        capability: which of the profile's `capabilities` they need, if it lists any.
    """

    types: Mapping[str, tuple[type, ...]]
    vnic_type: str = ""
    capability: str = ""


_TEXT, _NUMBER, _MAYBE = (str,), (int,), (str, type(None))
_PCI = {"pci_vendor_info": _TEXT, "pci_slot": _TEXT, "physical_network": _MAYBE}
_CARD = {"card_serial_number": _TEXT, "pf_mac_address": _TEXT, "vf_num": _NUMBER}

TOGETHER = (
    Keys({PARENT: _TEXT, TAG: _NUMBER}),
    Keys({SWITCH: _TEXT, LOGICAL_SWITCH: _TEXT}),
    Keys(_PCI, vnic_type="direct", capability=OFFLOADED),
    Keys(_PCI | _CARD, "remote-managed"),
)


LONGEST_PROFILE = 4095
"""Bytes of a binding profile; Neutron's limit."""


def profile_value(value: Any) -> dict[str, Any]:
    """Convert a binding profile, which Nova writes; its text has Neutron's length limit.

    Raises:
        ValueError: the value is no object, or too large.
    """
    profile = mapping(value)
    if len(orjson.dumps(profile)) > LONGEST_PROFILE:
        raise ValueError("binding:profile value too large")
    return profile


def profile_text(profile: Mapping[str, Any]) -> str:
    """Return a binding profile in the form of the database."""
    return orjson.dumps(profile).decode() if profile else ""


def check_profile(databases: Databases, profile: Mapping[str, Any], vnic_type: str) -> None:
    """Check a port's binding profile; of several groups of keys the first that is present applies.

    Arguments:
        databases: to look the parent port up.
        profile: the binding profile.
        vnic_type: the port's.

    Raises:
        InvalidInput: keys are missing or of the wrong type.
        PortNotFound: the parent port does not exist.
    """
    can = profile.get(CAPABILITIES, [])
    if not isinstance(can, list):
        raise InvalidInput(error_message=f"Invalid binding:profile. {CAPABILITIES} must be of type list.")
    for keys in TOGETHER:
        applies = keys.vnic_type in ("", vnic_type) and (not can or not keys.capability or keys.capability in can)
        if applies and not profile.keys().isdisjoint(keys.types):
            _check_types(profile, keys.types)
            if PARENT in keys.types:
                _check_container(databases, profile)
            return


def with_capability(profile: Mapping[str, Any], capability: str) -> dict[str, Any]:
    """Return a binding profile with a capability of the port's hardware."""
    known = profile.get(CAPABILITIES, [])
    if not isinstance(known, list) or capability in known:
        return dict(profile)
    return {**profile, CAPABILITIES: [*known, capability]}


def with_trust(profile: Mapping[str, Any], port: Port) -> dict[str, Any]:
    """Return a profile that says whether its port is trusted, if somebody has decided that."""
    return dict(profile) if port.trusted is None else {**profile, "trusted": port.trusted}


def shown_profile(port: Port) -> dict[str, Any]:
    """Return a port's binding profile as the API shows it.

    Drivers read there whether the port is trusted, and of a sub-port its place in the trunk.
    """
    shown = with_trust(orjson.loads(port.binding_profile or b"{}"), port)
    if (place := place_in_trunk(port)) is not None:
        shown |= zip((PARENT, TAG), place, strict=True)
    return shown


def _check_types(profile: Mapping[str, Any], types: Mapping[str, tuple[type, ...]]) -> None:
    if not types.keys() <= profile.keys():
        raise InvalidInput(error_message=f"Invalid binding:profile. {', '.join(types)} are all required.")
    for key, allowed in types.items():
        value = profile[key]
        if not isinstance(value, allowed) or isinstance(value, bool):
            raise InvalidInput(error_message=f"Invalid binding:profile. {key} {value} value invalid type")


def _check_container(databases: Databases, profile: Mapping[str, Any]) -> None:
    parent, tag = profile[PARENT], profile[TAG]
    if databases.store.table(Port).get(UUID(parent)) is None:
        raise PortNotFound(id=parent)
    if not 0 <= tag <= MOST_TAG:
        limits = f"must be an integer between 0 and {MOST_TAG}, inclusive"
        raise InvalidInput(error_message=f'Invalid binding:profile. tag "{tag}" {limits}')
