"""The real switch takes every action's OpenFlow 1.5, behind the match that its prerequisites make."""

from __future__ import annotations

from pathlib import Path

from ovenbird.controller.ofctrl.group_table import select_group
from ovenbird.lang.actions import GroupSpec, OptionType, guarded, parse_actions
from ovenbird.lang.bindings import Bindings
from ovenbird.lang.compile import compile_match
from ovenbird.openflow.messages import FlowMod, GroupMod, GroupType, ModCommand
from ovenbird.openflow.transport import OpenFlowSession
from ovenbird.pipeline.stages import Pipeline

PAGE = Path(__file__).with_name("openflow.md")
TABLE = 200  # ovn-controller has no flows there


class Chassis:
    """A context whose groups can be installed."""

    pipeline, table, is_switch, zero_snat = Pipeline.INGRESS, 3, True, True
    consolidates_registers = False
    datapath_key, cookie, controller_meter = 5, 1, 0
    collector_sets = frozenset((200,))

    def __init__(self, topology: object) -> None:
        self.dhcp_options = {name: OptionType(*row) for name, row in topology.DHCP4.items()}
        self.dhcpv6_options = {name: OptionType(*row) for name, row in topology.DHCP6.items()}
        self.groups: dict[GroupSpec, int] = {}

    def port_key(self, name: str) -> int:
        return {"p1": 1, "p2": 2}.get(name, 0)

    def is_local(self, name: str) -> bool:
        return name == "p1"

    def meter(self, name: str) -> int:
        return 0

    def rate_meter(self, rate: int, burst: int) -> int:
        return 0

    def group(self, spec: GroupSpec) -> int:
        return self.groups.setdefault(spec, 1000 + len(self.groups))


async def test_the_switch_takes_every_action(oracle, topology) -> None:
    texts = [line.split(" ==> ")[0] for line in PAGE.read_text().split("```")[1].strip().splitlines()]
    here = Chassis(topology)
    flows: list[FlowMod] = []
    for priority, line in enumerate(texts):
        match, arrow, text = line.rpartition(" => ")
        actions = parse_actions(text)
        instructions = tuple(actions.instructions(here))
        compiled = compile_match(guarded(match if arrow else "1", actions.prerequisites), Bindings())
        assert compiled.flows, f"nothing satisfies {line}"
        flows += [
            FlowMod(table=TABLE, priority=priority + 1, match=flow.match, instructions=instructions)
            for flow in compiled.flows
        ]
    groups = [
        GroupMod(ModCommand.ADD, number, GroupType.SELECT, *select_group(spec)) for spec, number in here.groups.items()
    ]
    assert len(flows) > len(texts)
    assert len(groups) > 5
    async with await OpenFlowSession.connect(f"unix:{oracle.root}/br-int.mgmt") as session:
        for group in groups:
            session.send(group)
        await session.barrier()
        await session.bundle(flows)
        dump = oracle.run("ovs-ofctl", "dump-flows", f"unix:{oracle.root}/br-int.mgmt", f"table={TABLE}")
        installed = sum(f"table={TABLE}" in shown for shown in dump.splitlines())
        oracle.run("ovs-ofctl", "del-flows", f"unix:{oracle.root}/br-int.mgmt", f"table={TABLE}")
        for group in groups:
            session.send(GroupMod(ModCommand.DELETE, group.group_id))
        await session.barrier()
    assert installed == len(flows)
