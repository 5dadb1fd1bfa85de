"""Requests about the bindings of a port (Networking API v2.0, "Port binding"), by which Nova moves instances.

A port has one active binding, which is part of its row (with an empty host while the port is on none), and inactive
ones for hosts that it may move to. Activating one exchanges the two, so that the way back stays open until Nova deletes
it. An inactive binding has no effect on packets: while the instance moves, `migrating_to` in the active binding's
profile names the second host.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from ovenbird.api import attributes, query
from ovenbird.api.access.rules import SERVICE, each
from ovenbird.api.attributes import REQUIRED, UNSET, Attribute, shown
from ovenbird.api.errors.port import (
    NoBindingsOfPort,
    PortBindingAlreadyActive,
    PortBindingAlreadyExists,
    PortBindingError,
    PortBindingNotFound,
    PortNotFound,
)
from ovenbird.api.errors.request import HTTPNotFound, PolicyNotAuthorized
from ovenbird.api.http.endpoints import Call, Endpoint
from ovenbird.api.ports.binding_profiles import check_profile, profile_text, profile_value, shown_profile, with_trust
from ovenbird.api.ports.port_bindings import FAILED, UNBOUND, binding, binding_on
from ovenbird.api.ports.trunk_ports import release_trunk
from ovenbird.api.values import one_of, text
from ovenbird.engine.rows import UUID
from ovenbird.model.binding_profile import is_direct, parsed_profile
from ovenbird.model.cloud import InactiveBinding, Port

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.api.databases import Databases, Draft

SERVED_OWNERS = ("compute:", "manila:")
"""Prefixes of the device owners of ports that may have several bindings."""

BINDING_ATTRIBUTES: dict[str, Attribute] = {
    "host": Attribute(text(), default=REQUIRED),
    "vnic_type": Attribute(one_of(*sorted(Port.vnic_type.type.key.enum)), default="normal"),
    "profile": Attribute(profile_value, default=UNSET, filterable=False),
    "project_id": Attribute(text(), put=False, filterable=False),
    "vif_type": shown(),
    "vif_details": shown(filterable=False),
    "status": shown(),
}


class PortBindingRequests(Endpoint):
    """Answers requests at ``/v2.0/ports/ID/bindings``.

    Arguments:
        databases: contain the ports.
    """

    extensions: ClassVar[Mapping[str, str]] = {"binding-extended": "Port Bindings Extended"}
    rules: ClassVar[Mapping[str, str]] = {
        "get_port_binding": SERVICE,
        **each("rule:service_api", "create_port_binding", "delete_port_binding", "activate"),
    }

    def __init__(self, databases: Databases) -> None:
        self.databases = databases

    async def list(self, call: Call) -> bytes:
        """Return the bindings of a port."""
        port = self._port(call)
        if not call.may("get_port_binding"):
            return orjson.dumps({"bindings": []})
        asked = query.parse(call.query, attributes.filterable(BINDING_ATTRIBUTES))
        found = [one for one in self._bindings(port) if query.matches(one, asked.filters)]
        kept = query.arrange(found, asked, "host")
        return orjson.dumps({"bindings": [query.only(asked.fields, one) for one in kept]})

    async def show(self, call: Call, uuid: str) -> bytes:
        """Return the binding of a port for a host.

        Arguments:
            call: the request.
            uuid: the host.
        """
        _, found = self._bound(call, uuid, "get_port_binding")
        fields = query.parse(call.query, attributes.filterable(BINDING_ATTRIBUTES)).fields
        return orjson.dumps({"binding": query.only(fields, found)})

    async def create(self, call: Call) -> bytes:
        """Create an inactive binding.

        Raises:
            PolicyNotAuthorized: the policy forbids it.
            PortBindingAlreadyExists: the port has a binding for the host.
        """
        given = attributes.member_of(await call.body(), "binding")
        values = attributes.parse(BINDING_ATTRIBUTES, given, creating=True)
        host = values["host"]

        def build(draft: Draft) -> None:
            port = self._port(call)
            if not call.may("create_port_binding"):
                raise PolicyNotAuthorized(rule="rule:create_port_binding")
            if host in self._hosts(port):
                raise PortBindingAlreadyExists(port_id=port.uuid, host=host)
            profile = values.get("profile", {})
            self._check(port, host, values["vnic_type"], profile)
            draft.expect(port)
            stored = {"port": port.uuid, "host": host, "vnic_type": values["vnic_type"]}
            draft.transaction.insert(InactiveBinding, stored | {"profile": profile_text(profile)})

        await self.databases.change(call.caller, build)
        return self._answer(call, host)

    async def update(self, call: Call, uuid: str) -> bytes:
        """Change the binding for a host.

        Arguments:
            call: the request.
            uuid: the host.

        Raises:
            NeutronError: the request is refused.
        """
        given = attributes.member_of(await call.body(), "binding")
        values = attributes.parse(BINDING_ATTRIBUTES, given, creating=False)
        host = values.get("host", uuid)

        def build(draft: Draft) -> None:
            port, before = self._bound(call, uuid, "create_port_binding")
            if host != uuid and host in self._hosts(port):
                raise PortBindingAlreadyExists(port_id=port.uuid, host=host)
            vnic_type, profile = (values.get(name, before[name]) for name in ("vnic_type", "profile"))
            self._check(port, host, vnic_type, profile)
            stored = {"host": host, "vnic_type": vnic_type}
            if uuid == port.host:
                draft.update(port, stored | {"binding_profile": profile_text(profile)})
            else:
                draft.expect(port)
                draft.transaction.update(_of_host(port, uuid), stored | {"profile": profile_text(profile)})

        await self.databases.change(call.caller, build)
        return self._answer(call, host)

    async def delete(self, call: Call, uuid: str) -> None:
        """Delete the binding for a host; without the active one the port is on no host.

        Arguments:
            call: the request.
            uuid: the host.
        """

        def build(draft: Draft) -> None:
            port, _ = self._bound(call, uuid, "delete_port_binding")
            if uuid == port.host:
                release_trunk(draft, port)
                draft.update(port, {"host": "", "binding_profile": ""})
            else:
                draft.expect(port)
                draft.transaction.delete(_of_host(port, uuid))

        await self.databases.change(call.caller, build)

    async def activate(self, call: Call, host: str) -> bytes:
        """Activate an inactive binding, whose place the active one takes.

        Arguments:
            call: the request.
            host: the host.

        Raises:
            PortBindingAlreadyActive: it is the active one.
        """

        def build(draft: Draft) -> None:
            port, _ = self._bound(call, host, "activate")
            if host == port.host:
                raise PortBindingAlreadyActive(port_id=port.uuid, host=host)
            chosen = _of_host(port, host)
            former = {"host": port.host, "vnic_type": port.vnic_type, "profile": port.binding_profile}
            new = {"host": chosen.host, "vnic_type": chosen.vnic_type, "binding_profile": chosen.profile}
            release_trunk(draft, port)
            draft.update(port, new)
            draft.transaction.update(chosen, former)

        await self.databases.change(call.caller, build)
        return orjson.dumps(self._found(self._port(call), host))

    # -- parts --------------------------------------------------------------------------------------------------------

    def _port(self, call: Call) -> Port:
        """Return the port of a request.

        Raises:
            PortNotFound: there is none.
            NoBindingsOfPort: it is not an instance's.
        """
        port = self.databases.store.table(Port).get(UUID(call.parent.lower()))
        if port is None:
            raise PortNotFound(id=call.parent)
        if not port.device_owner.startswith(SERVED_OWNERS):
            raise NoBindingsOfPort(port_id=port.uuid)
        return port

    def _bound(self, call: Call, host: str, rule: str) -> tuple[Port, dict[str, Any]]:
        """Return the port of a request, and what the API shows of its binding for a host.

        Arguments:
            call: the request.
            host: the host.
            rule: the rule about what is to be done.

        Raises:
            HTTPNotFound: the caller may not see the binding.
            PolicyNotAuthorized: the policy forbids the change.
        """
        port = self._port(call)
        found = self._found(port, host)
        if not call.may(rule):
            if not call.may("get_port_binding"):
                raise HTTPNotFound
            raise PolicyNotAuthorized(rule=f"rule:{rule}")
        return port, found

    def _check(self, port: Port, host: str, vnic_type: str, profile: Mapping[str, Any]) -> None:
        """Check that a host can bind a port."""
        check_profile(self.databases, profile, vnic_type)
        direct = is_direct(vnic_type, profile)
        if host and binding_on(self.databases, port, host, direct=direct)[0] == FAILED:
            raise PortBindingError(port_id=port.uuid, host=host)

    def _hosts(self, port: Port) -> set[str]:
        return {one["host"] for one in self._bindings(port)}

    def _found(self, port: Port, host: str) -> dict[str, Any]:
        """Return what the API shows of a port's binding for a host.

        Raises:
            PortBindingNotFound: there is none.
        """
        for one in self._bindings(port):
            if one["host"] == host:
                return one
        raise PortBindingNotFound(port_id=port.uuid, host=host)

    def _answer(self, call: Call, host: str) -> bytes:
        return orjson.dumps({"binding": self._found(self._port(call), host)})

    def _bindings(self, port: Port) -> tuple[dict[str, Any], ...]:
        """Return what the API shows of a port's bindings, the active one first."""
        vif_type, vif_details = binding(self.databases, port)
        active = _shown(port.host, vif_type, vif_details, port.vnic_type, shown_profile(port)) | {"status": "ACTIVE"}
        return active, *(self._inactive(one) for one in _inactive_bindings(port))

    def _inactive(self, one: InactiveBinding) -> dict[str, Any]:
        """Return what the API shows of an inactive binding."""
        told = parsed_profile(one.profile)
        direct = is_direct(one.vnic_type, told)
        vif_type, vif_details = (
            binding_on(self.databases, one.port, one.host, direct=direct) if one.host else (UNBOUND, {})
        )
        profile = with_trust(told, one.port)
        return _shown(one.host, vif_type, vif_details, one.vnic_type, profile) | {"status": "INACTIVE"}


def _shown(
    host: str, vif_type: str, vif_details: Mapping[str, Any], vnic_type: str, profile: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "host": host,
        "vif_type": vif_type,
        "vif_details": vif_details,
        "vnic_type": vnic_type,
        "profile": profile,
    }


def _inactive_bindings(port: Port) -> list[InactiveBinding]:
    return sorted(port.referrers(InactiveBinding.port), key=lambda one: one.host)


def _of_host(port: Port, host: str) -> InactiveBinding:
    return next(one for one in _inactive_bindings(port) if one.host == host)
