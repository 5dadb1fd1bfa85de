"""Learning of MACs behind ports with unknown addresses, as by a plain Ethernet switch.

Source MACs are learned at ports with unknown addresses and without port security; at a localnet port if its option
`localnet_learn_fdb` is set. ovn-northd(8), "Ingress Table 2" and "3".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.model import nb
from ovenbird.model.options import flag
from ovenbird.northd.ir.feature import Feature
from ovenbird.northd.ir.flow import FlowBuilder
from ovenbird.pipeline.explanations import HintedTable
from ovenbird.pipeline.registers import FDB_KNOWN
from ovenbird.pipeline.stages import stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact
    from ovenbird.northd.ir.switch_port import SwitchPort

LOOKUP_FDB = stage("ls_in_lookup_fdb")
PUT = stage("ls_in_put_fdb")

flow = FlowBuilder("fdb")


def port(port: SwitchPort) -> Iterator[Fact]:
    """Look up and learn source MACs at a port with unknown addresses."""
    if not port.unknown or not port.enabled:
        return
    learns = port.type == "" or (port.type == "localnet" and flag(port.options, "localnet_learn_fdb"))
    if not learns or port.security:
        return
    match = f"inport == {port.quoted}"
    look = f"{FDB_KNOWN} = lookup_fdb(inport, eth.src); next;"
    yield flow(LOOKUP_FDB, port.datapath, 100, match, look, hint=port.hint, port=port.name)
    learn = "put_fdb(inport, eth.src); next;"
    yield flow(PUT, port.datapath, 100, f"{match} && {FDB_KNOWN} == 0", learn, hint=port.hint, port=port.name)


FEATURE = Feature("fdb", port=port, hints=(HintedTable(nb.LogicalSwitchPort),))
