"""Random edits of Northbound, after each of which the compiler's Southbound is what it makes from scratch."""

from hypothesis.stateful import RuleBasedStateMachine, invariant

from ovenbird.model import nb
from support.northd.networks import Networks


class NorthboundEdits(RuleBasedStateMachine):
    """The machine that the tests of a compiler's increments add their rules to."""

    def __init__(self):
        super().__init__()
        self.world = Networks()

    def table(self, row_class):
        """Return the rows of a table of Northbound."""
        return list(self.world.nb.store.table(row_class).rows.values())

    def pick(self, row_class, number):
        """Return the row that a number stands for, None if the table is empty."""
        rows = self.table(row_class)
        return rows[number % len(rows)] if rows else None

    @invariant()
    def incremental_is_from_scratch(self):
        if self.table(nb.NBGlobal):
            self.world.settle()
            assert self.world.image() == self.world.from_scratch()
