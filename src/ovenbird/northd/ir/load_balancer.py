"""Load balancers as features see them: virtual addresses and backends read into values, and who uses which balancer.

ovn-nb(5), Load_Balancer. A virtual address is a key of `vips`, its backends the value: an IP address, with a port or
without. In a *template* either part may be a variable, `^NAME`, whose value each chassis inserts; its IP version is
that in `options:address-family`. An entry that cannot be parsed, or a backend that does not fit its virtual address, is
left out with a finding; the others are used. (For one such backend ovn-northd omits the whole virtual address.)

Two thousand balancers in a group that five hundred switches use must not cost a million steps, so flows are for the
datapaths of *users*: the groups that a balancer is in, and itself where datapaths refer to it directly. Balancers with
the same users share one datapath group, and a switch or router that uses a group joins the few that its balancers have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.findings import finding
from ovenbird.engine.grouped import grouped_values
from ovenbird.engine.lookups import get
from ovenbird.engine.views import view
from ovenbird.model import nb
from ovenbird.model.options import flag, number
from ovenbird.namedtuple import NamedTuple
from ovenbird.northd.ir.addresses import quote
from ovenbird.northd.ir.copp import meters
from ovenbird.northd.ir.datapath_groups import DatapathGroup
from ovenbird.northd.ir.health_check import Probe, health_checks
from ovenbird.northd.ir.router_port import enabled, peer_switch_port, router_peers
from ovenbird.northd.ir.socket_address import SocketAddress, parse_endpoint
from ovenbird.northd.ir.switch_port import global_flag

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import UUID

LB = nb.LoadBalancer

REJECT, EVENT = "reject", "event-elb"
"""Kinds of packets that meters limit, ovn-nb(5), Copp."""
WITH_STATELESS = "with stateless ACLs"
"""What `switch_meters` has of a group that a switch uses which balances packets that its stateless ACLs let pass."""


class Vip(NamedTuple):
    """A virtual address and its backends.

    Arguments:
        at: the address.
        configured: its backends.
        backends: those of them that new connections go to; if their health is checked, only `served` knows.
        probes: by which their health is checked.
        checked: whether it is, also if no backend can be probed.
    """

    at: SocketAddress
    configured: tuple[SocketAddress, ...]
    backends: tuple[SocketAddress, ...]
    probes: tuple[Probe, ...] = ()
    checked: bool = False


class Balancer(NamedTuple):
    """A load balancer.

    Arguments:
        uuid: the Northbound row's.
        protocol: `tcp`, `udp` or `sctp`.
        vips: those that parse, sorted as text.
        hashed: the fields that choose a backend (`hash_fields` of the action); empty for the switch's default.
        reject: whether connections are rejected if there is no backend; otherwise they are dropped.
        event: whether chassis report connections to an address without backends (Controller_Event).
        skips_snat: whether routers do not apply `lb_force_snat_ip` to its connections.
        affinity: how long a client stays with its backend, in seconds; 0 for one connection.
        responder: whether routers answer for its addresses: `reachable`, `all` or `none`.
        adds_route: whether neighbouring routers get routes to its addresses.
        template: whether it contains template variables.
        places: if each chassis balances to its own backends alone (`distributed`), the port behind which each is, by
            address.
        stateless: whether routers with several distributed gateway ports translate replies without conntrack.
        troubles: the parts of it that are left out, and why.
    """

    uuid: UUID
    protocol: str
    vips: tuple[Vip, ...]
    hashed: str
    reject: bool
    event: bool
    skips_snat: bool
    affinity: int
    responder: str
    adds_route: bool
    template: bool
    stateless: bool
    places: Mapping[str, str] | None
    troubles: tuple[str, ...]

    @property
    def checks_health(self) -> bool:
        """Whether the health of any backend is checked."""
        return any(vip.checked for vip in self.vips)

    def balance(self, backends: Iterable[SocketAddress], mark: str = "") -> str:
        """Return the action that sends a new connection to one of some backends.

        Arguments:
            backends: at least one; one that is listed twice gets twice as many connections.
            mark: `skip_snat`, `force_snat` or empty.
        """
        places = self.places
        name = "ct_lb_mark" if places is None else "ct_lb_mark_local"
        listed = [f"{quote(places[each.ip])}:{each}" for each in backends] if places else map(str, backends)
        by = f'; hash_fields="{self.hashed}"' if self.hashed else ""
        return f"{name}(backends={','.join(listed)}{by}{f'; {mark}' if mark else ''});"


@view
def balancer(row: LB) -> Balancer:
    """Parse a load balancer."""
    options, protocol = row.options, row.protocol or "tcp"
    template = flag(options, "template")
    six = options.get("address-family", "ipv4") == "ipv6" if template else None
    troubles: list[str] = []
    vips = [vip for text, behind in sorted(row.vips.items()) if (vip := _vip(text, behind, six, troubles)) is not None]
    places = None
    if template and flag(options, "distributed"):
        troubles.append("it is not distributed: templates have no backends of which it is known where they are")
    elif flag(options, "distributed"):
        places = _places(row, vips, troubles)
    if places is not None:
        vips = [vip._replace(backends=tuple([each for each in vip.backends if each.ip in places])) for vip in vips]
    if row.health_check:
        vips = _checked(row, vips, template=template, troubles=troubles)
    affinity = number(options, "affinity_timeout", 0, low=0, high=0xFFFF)
    if template and affinity:
        several = [str(each) for vip in vips for each in {*vip.backends}.difference(separate(vip))]
        troubles += [f"affinity_timeout is left out for {each}: it may be several backends" for each in sorted(several)]
    responder = options.get("neighbor_responder", "")
    if responder not in ("all", "none") and not (responder == "reachable" and not template):
        responder = "none" if template else "reachable"
    reject = flag(options, "reject")
    return Balancer(
        row.uuid,
        protocol,
        tuple(vips),
        ",".join(name.replace("tp_", f"{protocol}_") for name in sorted(row.selection_fields)),
        reject=reject,
        event=not reject and (flag(options, "event") or global_flag("controller_event", False)),
        skips_snat=flag(options, "skip_snat"),
        affinity=affinity,
        responder=responder,
        adds_route=flag(options, "add_route"),
        template=template,
        stateless=flag(options, "use_stateless_nat") and places is None,
        places=places,
        troubles=tuple(troubles),
    )


def _vip(text: str, behind: str, six: bool | None, troubles: list[str]) -> Vip | None:
    """Return a virtual address with its backends; None if it cannot be read.

    Arguments:
        text: the key.
        behind: the value.
        six: in a template, whether it is of IPv6; otherwise None.
        troubles: where to say what is left out.
    """
    at = parse_endpoint(text, six)
    if at is None:
        troubles.append(f"virtual address {text!r} is left out: it is not an IP address, alone or with a port")
        return None
    backends = []
    for each in filter(str.strip, behind.split(",")):
        backend = parse_endpoint(each.strip(), six)
        if backend is None:
            troubles.append(f"backend {each!r} of {text} is left out: it is not an IP address, alone or with a port")
        elif backend.six is not at.six:
            troubles.append(f"backend {each!r} of {text} is left out: it is of another IP version")
        elif six is None and bool(backend.port) is not bool(at.port):
            troubles.append(f"backend {each!r} of {text} is left out: one of the two has a port, the other has none")
        else:
            backends.append(backend)
    return Vip(at, configured=tuple(backends), backends=tuple(backends))


def _checked(row: LB, vips: list[Vip], *, template: bool, troubles: list[str]) -> list[Vip]:
    """Return virtual addresses with the probes of those whose health is checked.

    Arguments:
        row: the load balancer.
        vips: its virtual addresses.
        template: whether it has variables, in which case nothing is checked.
        troubles: where to say what is left out.
    """
    if template:
        troubles.append("its health checks are left out: a load balancer with template variables cannot have any")
        return vips
    checks = health_checks(row, [vip.at for vip in vips], troubles)
    found = []
    for vip in vips:
        check = checks.get(vip.at)
        if check is None:
            found.append(vip)
            continue
        probes = check.probes(vip.backends, troubles)
        possible = tuple([backend for backend in vip.backends if backend in probes])
        found.append(vip._replace(backends=possible, probes=tuple(probes.values()), checked=True))
    return found


def separate(vip: Vip) -> list[SocketAddress]:
    """Return the backends of a virtual address that are one each, as affinity needs them.

    A variable that stands for addresses with their ports may be any number of them.
    """
    return [each for each in dict.fromkeys(vip.backends) if each.ip[0] != "^" or each.port or not vip.at.port]


def served(vip: Vip) -> Vip:
    """Return a virtual address with the backends that are online as far as is known, if their health is checked.

    A rule that calls this for one of a balancer's addresses depends on the backends of that address alone.
    """
    return vip._replace(backends=_online(vip.backends, vip.probes)) if vip.checked else vip


@view
def _online(backends: tuple[SocketAddress, ...], probes: tuple[Probe, ...]) -> tuple[SocketAddress, ...]:
    passing = {probe.backend for probe in probes if probe.passes()}
    return tuple([backend for backend in backends if backend in passing])


def _places(row: LB, vips: Iterable[Vip], troubles: list[str]) -> dict[str, str]:
    """Return the ports behind which the backends of a distributed load balancer are, by their addresses.

    Arguments:
        row: the load balancer.
        vips: its virtual addresses.
        troubles: a list that receives the backends of which this is not known: they are left out.
    """
    found = {}
    for text, value in row.ip_port_mappings.items():
        backend, port = parse_endpoint(text), value.partition(":")[0]
        if backend is not None and not backend.port and port:
            found[backend.ip] = port
    missing = {each.ip for vip in vips for each in vip.configured} - found.keys()
    troubles += [
        f"backend {ip} gets no connections: no entry of ip_port_mappings says where it is" for ip in sorted(missing)
    ]
    return found


# -- who uses it -------------------------------------------------------------------------------------------------------

Users = tuple["UUID", ...]
"""UUIDs of the groups that a balancer is in; the last one is its own if datapaths refer to it directly."""


@view
def switch_users(row: LB) -> Users:
    """Return the groups through which switches use a load balancer."""
    return _users(row, bool(direct_switches(row)))


@view
def router_users(row: LB) -> Users:
    """Return the groups through which routers use a load balancer."""
    return _users(row, bool(row.referrers(nb.LogicalRouter.load_balancer)))


@view
def direct_switches(row: LB) -> tuple[nb.LogicalSwitch, ...]:
    """Return the switches that use a load balancer through no group.

    With NB_Global's option `install_ls_lb_from_router` these are, too, the switches around routers that do.
    """
    found = dict.fromkeys(row.referrers(nb.LogicalSwitch.load_balancer))
    if global_flag("install_ls_lb_from_router", False):
        for router in row.referrers(nb.LogicalRouter.load_balancer):
            for lrp in router.ports if enabled(router) else ():
                if (met := peer_switch_port(lrp.name)) is not None:
                    found[met.switch] = None
    return tuple(found)


@view
def switch_groups(switch: nb.LogicalSwitch) -> tuple[UUID, ...]:
    """Return the groups of load balancers that a switch uses: its own, or those of the routers around it, too."""
    lent = [group for router in _lenders(switch) for group in router_groups(router)]
    own = sorted(nb.LogicalSwitch.load_balancer_group.raw(switch))
    return tuple(dict.fromkeys([*own, *lent]))


def router_groups(router: nb.LogicalRouter) -> list[UUID]:
    """Return the groups of load balancers that a router uses.

    They are UUIDs, since a rule that takes a row reads it, and five hundred readers of a group cost one more balancer
    in it as much time as its flows do.
    """
    return sorted(nb.LogicalRouter.load_balancer_group.raw(router))


def _lenders(switch: nb.LogicalSwitch) -> list[nb.LogicalRouter]:
    """Return the routers around a switch whose load balancers it uses (`install_ls_lb_from_router`)."""
    if not global_flag("install_ls_lb_from_router", False):
        return []
    routers = dict.fromkeys([port.router for _, port in router_peers(switch)])
    found = [get(nb.LogicalRouter, uuid) for uuid in routers]
    return [router for router in found if router is not None and enabled(router)]


def _users(row: LB, direct: bool) -> Users:
    groups = sorted(group.uuid for group in row.referrers(nb.LoadBalancerGroup.load_balancer))
    return (*groups, row.uuid) if direct else tuple(groups)


@grouped_values(LB)
def sharing(row: LB) -> Iterator[tuple[tuple[str, UUID], Users]]:
    """Yield, for each group, the groups of each of its balancers: usually the group itself alone."""
    if row.vips:
        groups = row.referrers(nb.LoadBalancerGroup.load_balancer)
        for group in groups:
            yield ("switches", group.uuid), switch_users(row)
            yield ("routers", group.uuid), router_users(row)


@grouped_values(nb.LogicalSwitch)
def switch_meters(switch: nb.LogicalSwitch) -> Iterator[tuple[tuple[UUID, str], str]]:
    """Give each group the meters of the switches that use it."""
    limits = meters(switch)
    for group in switch_groups(switch):
        for kind in (REJECT, EVENT):
            yield (group, kind), limits.get(kind, "")
        if balances_stateless(switch):
            yield (group, WITH_STATELESS), ""


def balances_stateless(switch: nb.LogicalSwitch) -> bool:
    """Return whether a switch balances what stateless ACLs let pass (`enable-stateless-acl-with-lb`, OVN 25.09)."""
    return flag(switch.other_config, "enable-stateless-acl-with-lb")


@view
def balances(switch: nb.LogicalSwitch) -> bool:
    """Return whether a switch uses a load balancer with any virtual address."""
    if any(sharing.values(("switches", group)) for group in switch_groups(switch)):
        return True
    lent = [row for router in _lenders(switch) for row in router.load_balancer]
    return any(row.vips for row in (*switch.load_balancer, *lent))


_groups: dict[tuple[object, ...], DatapathGroup] = {}


def used_by(kind: str, users: Users, limit: str = "") -> DatapathGroup:
    """Return the datapath group of the switches or routers that use balancers with these users.

    Arguments:
        kind: of datapaths, or of flows that only some of them have.
        users: the users.
        limit: the meter of the flows.
    """
    key = (kind, users, limit)
    found = _groups.get(key)
    if found is None:
        if len(_groups) > 65_536:
            _groups.clear()
        found = _groups[key] = DatapathGroup("load balancers", kind, *users, limit)
    return found


def in_words(row: LB) -> tuple[str, str]:
    """Describe a load balancer, and behind it which packets it balances to where."""
    probed = {check.vip for check in row.health_check}
    vips = [
        f"{vip} -> {behind or 'no backend'}{' (those that are online)' if vip in probed else ''}"
        for vip, behind in sorted(row.vips.items())
    ]
    more = f" and {len(vips) - 4} more" if len(vips) > 4 else ""
    return f"load balancer {row.name or row.uuid}", ", ".join(vips[:4]) + more


def trouble(row: LB) -> Iterator[Fact]:
    """Return the finding about the parts of a load balancer that are left out."""
    for text in balancer(row).troubles:
        yield finding(row, f"load balancer {row.name}: {text}")
