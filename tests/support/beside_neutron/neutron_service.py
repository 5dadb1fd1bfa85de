# ruff: noqa: PLC0415, T201 (what only the other Python has is imported when it is known to be there; it says things)
"""Neutron's own API in one process, over SQLite: a program for the Python that has Neutron.

    neutron_service.py DIRECTORY NORTHBOUND SOUTHBOUND [FILE]

Its tables are in the file, or in memory. There all sessions share one connection, which is fast; but what a callback
writes in a session of its own may be undone by another, as what its OVN driver writes about trunks is.

It says ``ready PORT`` when it listens on a loopback address. Callers are believed: ``X-User-Id``, ``X-Project-Id`` and
``X-Roles`` are what Keystone's middleware would have passed on. Its exit status is 3 where Neutron is not installed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

CONFIGURATION = """
[DEFAULT]
core_plugin = ml2
service_plugins = ovn-router,segments,auto_allocate,port_forwarding,qos,log,trunk
auth_strategy = keystone
transport_url = fake://
notify_nova_on_port_status_changes = false
notify_nova_on_port_data_changes = false
dhcp_agent_notification = false
state_path = {directory}
api_paste_config = {directory}/paste.ini
use_stderr = true
dns_domain = example.net.
agent_down_time = 1000000
[database]
connection = sqlite://{tables}
sqlite_synchronous = false
[oslo_concurrency]
lock_path = {directory}/lock
[oslo_messaging_notifications]
driver = noop
[quotas]
quota_router = 1000
quota_network = 1000
quota_subnet = 1000
quota_port = 1000
quota_floatingip = 1000
quota_security_group = 1000
quota_security_group_rule = 1000
quota_subnetpool = 1000
[ml2]
mechanism_drivers = ovn
type_drivers = geneve,vlan,flat,local
project_network_types = geneve
extension_drivers = port_security,subnet_dns_publish_fixed_ip,qos,{of_ports}
overlay_ip_version = 4
[ml2_type_geneve]
vni_ranges = 1:65535
max_header_size = 38
[ml2_type_vlan]
network_vlan_ranges = public,other
[ml2_type_flat]
flat_networks = *
[ovn]
ovn_nb_connection = {northbound}
ovn_sb_connection = {southbound}
ovn_metadata_enabled = false
"""

PASTE = """
[composite:neutron]
use = egg:Paste#urlmap
/v2.0: api
[composite:api]
use = call:neutron.auth:pipeline_factory
keystone = catch_errors context extensions application
[filter:catch_errors]
paste.filter_factory = oslo_middleware:CatchErrors.factory
[filter:context]
paste.filter_factory = neutron.auth:NeutronKeystoneContext.factory
[filter:extensions]
paste.filter_factory = neutron.api.extensions:plugin_aware_extension_middleware_factory
[app:application]
paste.app_factory = neutron.api.v2.router:APIRouter.factory
"""


class Quiet(WSGIRequestHandler):
    """Says nothing about requests."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def impatient() -> None:
    """Make Neutron give up soon what the database refuses each time; it tries for minutes."""
    from oslo_db import api

    class Retry(api.wrap_db_retry):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options | {"max_retries": 1})

    api.wrap_db_retry = Retry


def predictable() -> None:
    """Make Neutron give ports the first free address, as the other side is made to."""
    from neutron.ipam.drivers.neutrondb_ipam import driver

    class First:
        @staticmethod
        def sample(choices: list[Any], number: int) -> list[Any]:
            return sorted(choices)[:number]

    driver.random = First


def alone() -> None:
    """Leave out that processes find each other, which a thread of its own would write."""
    from neutron.plugins.ml2.drivers.ovn.mech_driver import mech_driver

    mech_driver.OVNMechanismDriver._setup_hash_ring = lambda _: None


def make_tables() -> None:
    """Make Neutron's tables, with the default security group rules that its migrations put there."""
    from neutron.db.migration.models import head
    from neutron.objects import securitygroup_default_rules
    from neutron_lib import context
    from neutron_lib.db import api as db_api

    engine = db_api.CONTEXT_WRITER.get_engine()
    head.get_metadata().create_all(engine)
    admin = context.get_admin_context()
    rules = [("egress", version, None, True, "egress") for version in ("IPv4", "IPv6")]
    rules += [("ingress", version, "PARENT", False, "ingress") for version in ("IPv4", "IPv6")]
    for direction, version, remote, others, word in rules:
        securitygroup_default_rules.SecurityGroupDefaultRule(
            admin,
            direction=direction,
            ethertype=version,
            remote_group_id=remote,
            used_in_default_sg=True,
            used_in_non_default_sg=others,
            description=f"Legacy default SG rule for {word} traffic",
        ).create()


def main() -> int:
    """Run the service until it is ended."""
    directory, northbound, southbound, *file = sys.argv[1:]
    sys.modules["uwsgi"] = uwsgi = ModuleType("uwsgi")
    uwsgi.numproc = 1  # what Neutron asks it: how many processes there are
    try:
        impatient()
        alone()
        from neutron import server
        from neutron.server import api
    except ImportError:
        return 3
    names = {"directory": directory, "northbound": northbound, "southbound": southbound}
    names["of_ports"] = "port_device_profile,port_hardware_offload_type,port_numa_affinity_policy,port_trusted"
    names["tables"] = f"/{file[0]}" if file else ""
    Path(directory, "neutron.conf").write_text(CONFIGURATION.format(**names))
    Path(directory, "paste.ini").write_text(PASTE)
    os.environ |= {"OS_NEUTRON_CONFIG_DIR": directory, "OS_NEUTRON_CONFIG_FILES": "neutron.conf"}
    sys.argv[1:] = []

    def start() -> object:
        make_tables()
        predictable()
        return api.api_server()

    application = server.boot_server(start, prog="neutron-api")
    with make_server("127.0.0.1", 0, application, handler_class=Quiet) as listening:
        print("ready", listening.server_port, flush=True)
        listening.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
