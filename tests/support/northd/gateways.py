"""Chassis in Southbound, ports bound to them, and gateways in Northbound that may be there."""

from ovenbird.model import nb, sb


def chassis(made, name):
    txn = made.sb.transaction()
    encap = txn.insert(sb.Encap, {"type": "geneve", "ip": f"127.0.0.{name[2:]}", "chassis_name": name})
    uuid = txn.insert(sb.Chassis, {"name": name, "encaps": frozenset([encap])})
    txn.commit()
    return made.sb.store.table(sb.Chassis).rows[uuid]


def bind(made, port, where):
    (binding,) = [row for row in made.rows(sb.PortBinding) if row.logical_port == port]
    made.update(binding, chassis=where.uuid if where is not None else None)


def attach(made, router, switch, number, **values):
    """Join a router to a switch."""
    name = f"{router.name}-{switch.name}"
    lrp = made.insert(
        nb.LogicalRouterPort, (router, "ports"), name=name, mac=f"00:00:00:00:ff:{number:02x}",
        networks=frozenset([f"10.{number}.0.254/24"]), **values,
    )  # fmt: skip
    made.port(switch, f"to-{name}", "router", type="router", options={"router-port": name})
    return lrp


def candidates(made, lrp, *names):
    for priority, name in enumerate(names):
        made.insert(
            nb.GatewayChassis, (lrp, "gateway_chassis"), name=f"{lrp.name}-{name}", chassis_name=name,
            priority=priority,
        )  # fmt: skip
