"""Every setting of ovn-controller(8), "Configuration", changed while the controller runs, and changed back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ovenbird.controller.controller import Controller
from ovenbird.model import sb
from support.controller.site import Site, one_chassis, told

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

NETWORK = r"""
ls-add sw0
ls-add other
lsp-add sw0 here -- lsp-set-addresses here "0a:00:00:00:00:01 10.0.0.11"
lsp-add sw0 ln -- lsp-set-type ln localnet -- lsp-set-addresses ln unknown -- lsp-set-options ln network_name=net1
"""
BEFORE = {
    "ovn-bridge-mappings": "net1:br-ex", "ovn-encap-type": "geneve,vxlan", "ovn-encap-ip": "192.0.2.1",
    "hostname": "host1",
}  # fmt: skip
INNER = "patch-br-int-to-ln"


def chassis(column: str) -> Callable[[Site, Controller], str]:
    return lambda site, _: site.sbctl("--bare", f"--columns={column}", "find", "Chassis", "name=hv1")


def encaps(site: Site, _: Controller) -> str:
    return site.sbctl("--bare", "-f", "csv", "--columns=type,ip,options", "find", "Encap", "chassis_name=hv1")


def tunnel(site: Site, _: Controller) -> str:
    """Return what the tunnel to hv2 is, nothing while there is none that works."""
    columns = ("--bare", "--columns=type,options", "find", "Interface", "options:remote_ip=192.0.2.2", "ofport>0")
    return site.vsctl("-f", "csv", *columns)


def ports(site: Site, _: Controller) -> str:
    """Return the ports of ours, each after its bridge."""
    bridges = [name for name in site.vsctl("list-br").split() if name.startswith("br")]
    return " ".join(f"{bridge}/{name}" for bridge in bridges for name in site.vsctl("list-ports", bridge).split())


def datapath_type(site: Site, _: Controller) -> str:
    return site.vsctl("get", "Bridge", "br-int", "datapath_type")


def probe(_: Site, controller: Controller) -> str:
    assert controller.southbound is not None
    return str(controller.southbound._probe)


def switch_probe(_: Site, controller: Controller) -> str:
    session = controller.host.switch.session
    return "not connected" if session is None else f"{session._probe_interval} {session._probing is not None}"


def findings(site: Site, _: Controller) -> str:
    return site.sbctl("--bare", "--columns=external_ids", "find", "Chassis_Private", "name=hv1")


def datapaths(_: Site, controller: Controller) -> str:
    assert controller.southbound is not None
    return f"{len(controller.southbound.store.table(sb.DatapathBinding).rows)} datapaths"


CHANGES = (
    ("ovn-bridge-mappings", "net1:br-ex2", ports, "br-ex2/patch-ln-to-br-int"),
    ("ovn-bridge-mappings", "net2:br-ex2", ports, "!patch"),
    ("ovn-bridge", "br-new", ports, "br-new/ovn-hv2-"),
    ("ovn-bridge", "br-new", ports, "!br-int/patch"),
    ("ovn-bridge", "br-new", ports, "!br-int/ovn"),
    ("ovn-bridge", "br-new", ports, "br-ex/patch-ln-to-br-new"),
    ("ovn-bridge", "br-new", tunnel, "geneve"),
    ("ovn-encap-type", "vxlan", encaps, "!geneve"),
    ("ovn-encap-type", "vxlan", tunnel, "vxlan"),
    ("ovn-encap-ip", "192.0.2.8", encaps, "192.0.2.8"),
    ("ovn-encap-ip", "192.0.2.1,192.0.2.8", encaps, "192.0.2.8"),
    ("ovn-encap-csum", "false", encaps, "csum=false"),
    ("ovn-encap-csum", "off", findings, "neither true nor false"),
    ("ovn-encap-tos", "inherit", tunnel, "tos=inherit"),
    ("ovn-encap-df_default", "false", tunnel, "df_default=false"),
    ("ovn-set-local-ip", "true", tunnel, "local_ip=192.0.2.1"),
    ("ovn-transport-zones", "tz1", chassis("transport_zones"), "tz1"),
    ("ovn-transport-zones", "tz1", tunnel, "!geneve"),
    ("ovn-cms-options", "enable-chassis-as-gw", chassis("other_config"), "enable-chassis-as-gw"),
    ("ovn-chassis-mac-mappings", "net1:aa:bb:cc:dd:ee:ff", chassis("other_config"), "aa:bb:cc:dd:ee:ff"),
    ("ovn-is-interconn", "true", chassis("other_config"), "is-interconn=true"),
    ("ovn-enable-lflow-cache", "false", chassis("other_config"), "ovn-enable-lflow-cache=false"),
    ("ovn-monitor-all", "true", chassis("other_config"), "ovn-monitor-all=true"),
    ("ovn-monitor-all", "true", datapaths, "2 "),
    ("ovn-remote-probe-interval", "7000", probe, "7.0"),
    ("ovn-remote-probe-interval", "no number", probe, "5.0"),
    ("ovn-openflow-probe-interval", "7", switch_probe, "7.0 True"),
    ("ovn-openflow-probe-interval", "no number", switch_probe, "0.0 False"),
    ("hostname", "another", chassis("hostname"), "another"),
)
"""What is set to which value, where that shows, and as what; `!`: what shows no longer. Unset, all is as it was."""


def words(text: str) -> list[str]:
    return sorted(text.split())


async def change_everything(site: Site) -> None:
    controller = Controller(f"unix:{site.directory}/db.sock")
    running = asyncio.create_task(controller.run())
    root = ("Open_vSwitch", ".")
    try:
        await told(lambda: INNER in ports(site, controller) and tunnel(site, controller))
        for key, value, show, sign in CHANGES:
            was = show(site, controller)
            wanted, hidden = sign.lstrip("!"), sign.startswith("!")
            site.vsctl("--no-wait", "set", *root, f'external_ids:{key}="{value}"')
            await told(lambda c=(show, wanted, hidden): (c[1] in c[0](site, controller)) is not c[2])
            if key in BEFORE:
                site.vsctl("--no-wait", "set", *root, f'external_ids:{key}="{BEFORE[key]}"')
            else:
                site.vsctl("--no-wait", "remove", *root, "external_ids", key)
            await told(lambda c=(show, was): words(c[0](site, controller)) == words(c[1]))
            assert not running.done()
        await asyncio.to_thread(site.nbctl, "--wait=hv", "sync")
        assert not controller.host.retries.failed
    finally:
        await controller.close(restart=True)
        await running


def test_every_setting_may_change_and_change_back(caplog: pytest.LogCaptureFixture) -> None:
    ids = {key.replace("-", "_"): value for key, value in BEFORE.items()}
    with one_chassis(NETWORK, {}, real=True, **ids) as site:
        site.sbctl("chassis-del", "hv2", "--", "chassis-add", "hv2", "geneve,vxlan", "192.0.2.2")
        site.vsctl("add-br", "br-new", "--", "set", "Bridge", "br-new", "datapath_type=netdev")
        for bridge in ("br-int", "br-new"):
            plugged = ("type=internal", "external_ids:iface-id=here")
            site.vsctl("add-port", bridge, f"here-{bridge}", "--", "set", "Interface", f"here-{bridge}", *plugged)
        asyncio.run(change_everything(site))
    assert "refuses" not in caplog.text
