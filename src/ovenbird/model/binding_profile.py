"""The meaning of a port's `binding:profile` to OVN, with the keys of Neutron's OVN driver.

The profile is JSON that Nova and drivers exchange; other keys are ignored. A key with an invalid value counts as
absent: the API refuses such profiles.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from ovenbird.model.cloud import Port

MIGRATING_TO = "migrating_to"
"""The host that an instance is moving to, while it still runs on `binding:host_id`."""

PARENT, TAG = "parent_name", "tag"
"""A container: the port of the instance that it runs in, and the VLAN that identifies it on this port."""

SWITCH, LOGICAL_SWITCH = "vtep-physical-switch", "vtep-logical-switch"
"""A port that is a gateway to the hosts behind a physical switch (ovn-nb(5), `vtep`)."""

CAPABILITIES, OFFLOADED = "capabilities", "switchdev"
"""The capabilities of a port's hardware; `switchdev` offloads the flows of the virtual switch."""

MOST_TAG = 4095

Profile = Mapping[str, Any]
"""A parsed binding profile."""

OUTSIDE_OF_SWITCH = frozenset(("direct", "direct-physical", "macvtap", "baremetal"))
"""VNIC types that no virtual switch connects, unless the hardware does in its place (`switchdev`)."""


def profile(port: Port) -> Profile:
    """Return a port's binding profile."""
    return parsed_profile(port.binding_profile)


def parsed_profile(text: str) -> Profile:
    """Return the binding profile that a database stores; an empty one for what is none."""
    if not text:
        return {}
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def migrating_to(told: Profile) -> str:
    """Return the host that a port's instance is moving to; empty if it stays where it is."""
    return _text(told, MIGRATING_TO)


def container(told: Profile) -> tuple[str | None, int | None]:
    """Return the parent port of a container, and its VLAN tag there: 0 for any free tag."""
    parent, tag = _text(told, PARENT), told.get(TAG)
    if not parent or not isinstance(tag, int) or isinstance(tag, bool) or not 0 <= tag <= MOST_TAG:
        return None, None
    return parent, tag


def vtep(told: Profile) -> tuple[str, str] | None:
    """Return the physical switch of a VTEP port, and the logical switch on it."""
    names = _text(told, SWITCH), _text(told, LOGICAL_SWITCH)
    return names if all(names) else None


def capabilities(told: Profile) -> list[str]:
    """Return the capabilities of a port's hardware."""
    found = told.get(CAPABILITIES)
    return [word for word in found if isinstance(word, str)] if isinstance(found, list) else []


def is_external(port: Port) -> bool:
    """Return whether a port is connected directly to a physical network, not to a virtual switch."""
    return is_direct(port.vnic_type, profile(port))


def is_direct(vnic_type: str, told: Profile) -> bool:
    """Return whether a binding with a VNIC type and a profile is one without a virtual switch."""
    return vnic_type in OUTSIDE_OF_SWITCH and OFFLOADED not in capabilities(told)


def _text(told: Profile, key: str) -> str:
    value = told.get(key)
    return value if isinstance(value, str) else ""
