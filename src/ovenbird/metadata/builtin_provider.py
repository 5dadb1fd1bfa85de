"""A provider that answers in the EC2 and OpenStack formats from the instance's port and its userdata file.

All listed versions have the documents of the newest one, since later versions only added members. A document that the
instance was not given does not exist: without user data `user_data` and `user-data` answer 404, which cloud-init
expects.
"""

from __future__ import annotations

import base64
import os
import uuid
from typing import TYPE_CHECKING, Any

import orjson

from ovenbird.metadata.document_tree import Directory, Document, Entry, read, text
from ovenbird.metadata.provider import Response
from ovenbird.net.ip import ip_interface

if TYPE_CHECKING:
    from ovenbird.metadata.instance_lookup import InstancePort
    from ovenbird.metadata.instance_userdata import InstanceUserdata, UserdataStore
    from ovenbird.metadata.provider import Request

OPENSTACK_VERSIONS = (
    "2012-08-10", "2013-04-04", "2013-10-17", "2015-10-15", "2016-06-30", "2016-10-06", "2017-02-22", "2018-08-27",
    "2020-10-14", "latest",
)  # fmt: skip
"""Versions of the OpenStack format, as Nova lists them."""

EC2_VERSIONS = (
    "1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15", "2008-02-01", "2008-09-01",
    "2009-04-04", "latest",
)  # fmt: skip
"""Versions of the EC2 format, as Nova lists them."""

_INSTANCES = uuid.UUID("3e2ac5a6-6a5e-4d0f-9a39-6f1e8f7c8a57")  # namespace of the UUIDs of ids that are not UUIDs
_SEED = 512  # random bytes with which the instance seeds its pool, as many as Nova gives


class BuiltinProvider:
    """A provider that needs no other service.

    Arguments:
        store: the userdata of instances.
    """

    def __init__(self, store: UserdataStore) -> None:
        self._store = store

    async def answer(self, instance: InstancePort, request: Request) -> Response:
        """Return the requested document."""
        if request.method not in ("GET", "HEAD"):
            return Response(405, b"405 Method Not Allowed\n")
        userdata = self._store.get(instance.device)
        first = request.path.lstrip("/").partition("/")[0]
        return read(openstack(instance, userdata) if first == "openstack" else ec2(instance, userdata), request.path)

    async def close(self) -> None:
        """Do nothing: the provider holds no resources."""


def instance_uuid(device: str) -> str:
    """Return an instance's UUID: its id, or a UUID derived from the id."""
    try:
        return str(uuid.UUID(device))
    except ValueError:
        return str(uuid.uuid5(_INSTANCES, device))


def _hostname(instance: InstancePort, userdata: InstanceUserdata) -> str:
    return userdata.hostname or instance.name or instance.device


# -- the OpenStack format ---------------------------------------------------------------------------------------------


def openstack(instance: InstancePort, userdata: InstanceUserdata) -> Directory:
    """Return the tree of the OpenStack format."""
    entries: dict[str, Entry] = {"meta_data.json": _json(meta_data(instance, userdata))}
    if userdata.user_data is not None:
        entries["user_data"] = Document(userdata.user_data, "application/octet-stream")
    entries |= {
        "vendor_data.json": _json({}),
        "network_data.json": _json(network_data(instance)),
        "vendor_data2.json": _json({}),
    }
    latest = Directory(entries)
    return Directory({"openstack": Directory(dict.fromkeys(OPENSTACK_VERSIONS, latest), bare=True)})


def meta_data(instance: InstancePort, userdata: InstanceUserdata) -> dict[str, Any]:
    """Return the content of `meta_data.json`."""
    name = _hostname(instance, userdata)
    found = {
        "uuid": instance_uuid(instance.device),
        "name": name,
        "hostname": name,
        "launch_index": 0,
        "availability_zone": userdata.availability_zone,
        "project_id": instance.project,
        "meta": dict(userdata.meta),
        "devices": [],
        "dedicated_cpus": [],
        "random_seed": base64.b64encode(os.urandom(_SEED)).decode(),
    }
    if userdata.keys:
        found["public_keys"] = dict(userdata.keys)
        found["keys"] = [{"name": key, "type": "ssh", "data": data} for key, data in userdata.keys.items()]
    return found


def network_data(instance: InstancePort) -> dict[str, Any]:
    """Return the content of `network_data.json`: the requesting port, with IPv4 by DHCP and its IPv6 addresses."""
    link = f"tap{instance.port[:11]}"
    mtu = instance.mtu or None
    links = [
        {"id": link, "vif_id": instance.port, "type": "ovs", "mtu": mtu, "ethernet_mac_address": instance.mac},
    ]
    networks: list[dict[str, Any]] = []
    for number, cidr in enumerate(instance.cidrs):
        interface = ip_interface(cidr)
        entry = {"id": f"network{number}", "link": link, "network_id": instance.network}
        if interface.version == 4:
            networks.append({**entry, "type": "ipv4_dhcp"})
        else:
            address, mask = str(interface.ip), str(interface.netmask)
            networks.append({**entry, "type": "ipv6", "ip_address": address, "netmask": mask, "routes": []})
    return {"links": links, "networks": networks, "services": []}


def _json(value: Any) -> Document:
    return Document(orjson.dumps(value), "application/json")


# -- the EC2 format ---------------------------------------------------------------------------------------------------


def ec2(instance: InstancePort, userdata: InstanceUserdata) -> Directory:
    """Return the tree of the EC2 format."""
    entries: dict[str, Entry] = {"meta-data": ec2_meta_data(instance, userdata)}
    if userdata.user_data is not None:
        entries["user-data"] = Document(userdata.user_data, "application/octet-stream")
    return Directory(dict.fromkeys(EC2_VERSIONS, Directory(entries)), bare=True)


def ec2_meta_data(instance: InstancePort, userdata: InstanceUserdata) -> Directory:
    """Return the directory `meta-data`."""
    name = _hostname(instance, userdata)
    number = instance_uuid(instance.device)[:8]
    addresses = [ip_interface(cidr) for cidr in instance.cidrs]
    address = next((str(found.ip) for found in addresses if found.version == 4), "")
    keys = {
        str(at): Directory({"openssh-key": text(data)}, label=key)
        for at, (key, data) in enumerate(userdata.keys.items())
    }
    entries: dict[str, Entry] = {
        "ami-id": text("None"),
        "ami-launch-index": text("0"),
        "ami-manifest-path": text("None"),
        "block-device-mapping": Directory({"ami": text("vda"), "root": text("/dev/vda")}),
        "hostname": text(name),
        "instance-action": text("none"),
        "instance-id": text(f"i-{number}"),
        "instance-type": text("lab"),
        "local-hostname": text(name),
        "local-ipv4": text(address),
        "mac": text(instance.mac),
        "placement": Directory({"availability-zone": text(userdata.availability_zone)}),
        "public-hostname": text(name),
        "public-ipv4": text(instance.public),
        "reservation-id": text(f"r-{number}"),
    }
    if keys:
        entries["public-keys"] = Directory(keys)
    return Directory(dict(sorted(entries.items())))
