"""The columns of Open_vSwitch that this service monitors: few, since interface statistics change all the time.

The classes have the table names of ovs-vswitchd.conf.db(5); columns that are not listed keep the server's defaults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.rows import Row
from ovenbird.model.types import boolean, integer, references, string, string_map

if TYPE_CHECKING:
    from ovenbird.engine.rows import Column, References


class OpenVSwitch(Row, table="Open_vSwitch", max_rows=1):
    """The configuration's root."""

    __slots__ = ()

    external_ids: Column[dict[str, str]] = string_map()
    next_cfg: Column[int] = integer()
    cur_cfg: Column[int] = integer()


class SSL(Row, table="SSL", root=False, max_rows=1):
    """The TLS keys of this machine's programs."""

    __slots__ = ()

    private_key: Column[str] = string()
    certificate: Column[str] = string()
    ca_cert: Column[str] = string()
    bootstrap_ca_cert: Column[bool] = boolean()


class Bridge(Row, table="Bridge", indexes=(("name",),), root=False):
    """An OpenFlow switch."""

    __slots__ = ()

    name: Column[str] = string(mutable=False)
    datapath_type: Column[str] = string()
    ports: References[Port] = references("Port")


class Port(Row, table="Port", indexes=(("name",),), root=False):
    """One interface of a bridge."""

    __slots__ = ()

    name: Column[str] = string(mutable=False)
    interfaces: References[Interface] = references("Interface", minimum=1)


class Interface(Row, table="Interface", indexes=(("name",),), root=False):
    """A network device within a port."""

    __slots__ = ()

    name: Column[str] = string(mutable=False)
    external_ids: Column[dict[str, str]] = string_map()


ROWS: tuple[type[Row], ...] = (OpenVSwitch, SSL, Bridge, Port, Interface)
"""Every row class."""
