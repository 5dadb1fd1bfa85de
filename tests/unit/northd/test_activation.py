"""A port that moves: where it has been let through already is for chassis to say, and stays while it moves."""

from ovenbird.model import nb, sb
from support.northd.gateways import chassis
from support.northd.networks import Networks

ACTIVATED = "additional-chassis-activated"


def binding(made):
    (row,) = made.rows(sb.PortBinding)
    return row


def moving(made, **options):
    made.insert(nb.NBGlobal)
    for name in ("hv1", "hv2"):
        chassis(made, name)
    port = made.port(made.switch("s"), "p", "00:00:00:00:00:01", options={"requested-chassis": "hv1,hv2", **options})
    made.settle()
    row = binding(made)
    made.update(row, options={**row.options, ACTIVATED: "hv2"})
    made.settle()
    return port


def test_the_activation_that_chassis_report_is_kept_until_the_port_has_moved(networks):
    port = moving(networks, **{"activation-strategy": "rarp"})
    assert binding(networks).options[ACTIVATED] == "hv2"
    again = Networks(networks.nb, networks.sb)
    again.settle()
    assert binding(networks).options[ACTIVATED] == "hv2"
    networks.update(port, options={"requested-chassis": "hv2", "activation-strategy": "rarp"})
    networks.settle()
    assert ACTIVATED not in binding(networks).options


def test_only_chassis_record_the_activation(networks):
    moving(networks)
    assert ACTIVATED not in binding(networks).options
