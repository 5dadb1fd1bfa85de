"""The settings that all processes of a cloud share: options of the one row of Cloud_Global, all of them declared here.

They are stored in the database so that all API processes and the compiler agree, and a change of one is processed like
any other change. Names and values are validated wherever users give them (`assignments`, `checked`). Clients that write
to the database directly may write anything: an invalid value counts as not set, and `complaints` reports it.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from ovenbird.dataclass import KW_ONLY, dataclass
from ovenbird.engine.views import view
from ovenbird.model.cloud import COUNTED, CloudGlobal
from ovenbird.model.setting_kinds import Addresses, Choice, Domain, Flag, Number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ovenbird.engine.rows import Store
    from ovenbird.model.setting_kinds import Kind

T = TypeVar("T")

UNLIMITED = -1
_INT = 0x7FFF_FFFF

TUNNEL_OVERHEAD = 58
"""Bytes of Geneve over IPv4 with OVN's option: 14 Ethernet, 20 IP, 8 UDP, 8 Geneve, 8 option."""

MINIMUM_MTU = 68
"""Bytes of the smallest MTU of a network (RFC 791, section 3.2)."""

_QUOTED = 60
"""The largest number of characters of a user's text that a message repeats."""
_COMPLAINTS = 20
"""The largest number of findings about one row of settings."""
_AT_ONCE = "at once"


class SettingError(ValueError):
    """There is no such setting, or it cannot have that value; the message is one line for the user."""


@dataclass(frozen=True, eq=False)
class Setting(Generic[T]):
    """A setting.

    Arguments:
        name: the key in Cloud_Global's `options`.
        kind: the kind of its values.
        default: its default value.
        meaning: its purpose, in one line.
        effect: when, or for which resources, a change takes effect.
    """

    name: str
    kind: Kind[T]
    default: T
    meaning: str
    _: KW_ONLY
    effect: str = _AT_ONCE

    @property
    def default_text(self) -> str:
        """The default, as it would be stored."""
        return self.kind.write(self.default)

    def of(self, store: Store) -> T:
        """Return the setting's value; the reader depends on this setting only.

        Arguments:
            store: Cloud's rows.
        """
        found = self.given(store)
        return self.default if found is None else found

    def given(self, store: Store) -> T | None:
        """Return the value in the database, or None if it has no valid one; likewise."""
        return cast("T | None", _given(store, self))

    def among(self, options: Mapping[str, str]) -> T | None:
        """Return the value in the options, or None if they have no valid one."""
        text = options.get(self.name)
        if text is None:
            return None
        try:
            return self.kind.read(text)
        except ValueError:
            return None

    def canonical(self, text: str) -> str:
        """Return the text to store for a text from a user.

        Raises:
            SettingError: it is not a valid value.
        """
        try:
            return self.kind.write(self.kind.read(text))
        except ValueError:
            raise SettingError(f"{self.name}={quoted(text)}: {self.name} is {self.kind.allowed}") from None


@view
def _given(store: Store, setting: Setting[Any]) -> Any:
    for row in store.table(CloudGlobal):
        return setting.among(row.options)
    return None


METADATA = Setting(
    "metadata",
    Flag(),
    False,
    "whether each network has a port for the metadata service",
    effect="for networks made from now on, and subnets made, or given DHCP, from now on",
)
DISTRIBUTED_FLOATING_IP = Setting(
    "distributed_floating_ip",
    Flag(),
    False,
    "whether floating IPs are translated on the instance's host instead of the router's gateway",
)
GATEWAY_SCHEDULER = Setting(
    "gateway_scheduler",
    Choice(("leastloaded", "chance")),
    "leastloaded",
    "how gateways are scheduled on chassis: by load, or by a hash",
    effect="at once: gateways may move",
)
MIGRATION_ACTIVATION = Setting(
    "live_migration_activation_strategy",
    Choice(("rarp", "")),
    "rarp",
    "what activates a migrating port on its new host: a RARP of the instance; if empty, the port is active at once",
)
DNS_DOMAIN = Setting(
    "dns_domain",
    Domain(),
    "openstacklocal",
    "domain of instances on networks without dns_domain; the default is not sent to instances",
)
DNS_SERVERS: Setting[tuple[str, ...]] = Setting(
    "dns_servers",
    Addresses(),
    (),
    "name servers of subnets without dns_nameservers; if empty, those of the compiler's host",
)
LEASE_TIME = Setting(
    "dhcp_default_lease_time",
    Number(1, 0xFFFF_FFFF),  # RFC 2131, section 3.3
    43_200,
    "lease time in seconds; 4294967295 means infinite",
)
PHYSICAL_MTU = Setting(
    "global_physnet_mtu",
    Number(MINIMUM_MTU + TUNNEL_OVERHEAD, 65_535),
    1500,
    f"MTU of physical networks in bytes; that of tunnelled networks is {TUNNEL_OVERHEAD} less",
    effect="for networks made from now on, and those whose MTU is set from now on",
)
MAX_ROUTES = Setting("max_routes", Number(0, _INT), 30, "maximum number of extra routes of a router")
MAX_ADDRESS_PAIRS = Setting(
    "max_allowed_address_pair", Number(0, _INT), 10, "maximum number of address pairs of a port"
)
MAX_FORWARDED_PORTS = Setting(
    "max_forwarded_ports",
    Number(1, 131_070),
    4096,
    "maximum number of forwarded ports of a floating IP; a range is a load balancer in Northbound for each port",
)
AGENT_DOWN_TIME = Setting(
    "agent_down_time", Number(1, _INT), 75, "seconds after which an agent that has not acknowledged nb_cfg is down"
)
MAC_BINDING_AGE = Setting(
    "mac_binding_age_threshold",
    Number(0, _INT),
    0,
    "seconds after which learned neighbours of routers expire; 0 means never",
)

QUOTAS: Mapping[str, Setting[int]] = {
    member: Setting(
        f"quota_{member}",
        Number(UNLIMITED, _INT),
        default,
        f"{what} of a project; {UNLIMITED} means no limit, the default without authentication",
    )
    for member, default, what in ((counted.member, counted.default, counted.words) for counted in COUNTED.values())
}
"""By the resource's member name; Neutron's defaults."""

_ALL: tuple[Setting[Any], ...] = (
    METADATA,
    DISTRIBUTED_FLOATING_IP,
    GATEWAY_SCHEDULER,
    MIGRATION_ACTIVATION,
    DNS_DOMAIN,
    DNS_SERVERS,
    LEASE_TIME,
    PHYSICAL_MTU,
    MAX_ROUTES,
    MAX_ADDRESS_PAIRS,
    MAX_FORWARDED_PORTS,
    AGENT_DOWN_TIME,
    MAC_BINDING_AGE,
    *QUOTAS.values(),
)

SETTINGS: Mapping[str, Setting[Any]] = {setting.name: setting for setting in _ALL}
"""Every setting, by name."""


def domain(store: Store, *given: str) -> str:
    """Return the first of the given domains that is not empty, else the cloud's; without final dot, empty for none."""
    return (next(filter(None, given), "") or DNS_DOMAIN.of(store)).rstrip(".")


# -- users' input -----------------------------------------------------------------------------------------------------


def named(name: str) -> Setting[Any]:
    """Return the setting of a name.

    Raises:
        SettingError: there is none.
    """
    found = SETTINGS.get(name)
    if found is None:
        nearest = get_close_matches(name[:_QUOTED], SETTINGS, 1)
        hint = f"is {nearest[0]} meant?" if nearest else "`ovenbird settings list` shows all"
        raise SettingError(f"there is no setting {quoted(name)}: {hint}")
    return found


def checked(given: Mapping[str, str]) -> dict[str, str]:
    """Return settings as they are stored.

    Raises:
        SettingError: there is no such setting, or one cannot have its value.
    """
    return {name: named(name).canonical(text) for name, text in given.items()}


def assignments(words: Iterable[str]) -> dict[str, str]:
    """Return the settings that words `NAME=VALUE` give, as they are stored.

    Raises:
        SettingError: a word has another form, a setting is given twice, or as for `checked`.
    """
    given: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise SettingError(f"{quoted(word)} is not of the form NAME=VALUE")
        if name in given:
            raise SettingError(f"{quoted(name)} is given twice")
        given[name] = value
    return checked(given)


def complaints(options: Mapping[str, str]) -> Iterator[str]:
    """Yield a message for each stored option that has no effect, with the value that is used instead.

    Arguments:
        options: of Cloud_Global; any names and values.
    """
    wrong = [name for name, text in options.items() if not _holds(name, text)]
    wrong.sort(key=lambda name: (name not in SETTINGS, name))
    for name in wrong[:_COMPLAINTS]:
        try:
            named(name).canonical(options[name])
        except SettingError as error:
            kept = f"the default {quoted(SETTINGS[name].default_text)} is used" if name in SETTINGS else "it is ignored"
            yield f"settings of the cloud: {error}; {kept}"
    if len(wrong) > _COMPLAINTS:
        yield f"settings of the cloud: {len(wrong) - _COMPLAINTS} more have no effect"


def _holds(name: str, text: str) -> bool:
    setting = SETTINGS.get(name)
    return setting is not None and setting.among({name: text}) is not None


def quoted(text: str) -> str:
    """Return a user's text for a one-line message: unchanged if it is short and plain, else quoted and truncated."""
    if len(text) > _QUOTED:
        return f"{text[:_QUOTED]!r}... ({len(text)} characters)"
    return text if text.isascii() and text.isprintable() and text and " " not in text else repr(text)
