"""Find and remove what a lab has made. Invariant: nothing is removed that the lab has not made."""

import shutil

from ovenbird.lab import process, supervisor
from ovenbird.lab.errors import ClashError
from ovenbird.lab.hypervisor import Hypervisor
from ovenbird.lab.layout import Layout
from ovenbird.lab.namespace import Namespace, existing
from ovenbird.lab.state import Kind, State


def check_names(layout: Layout, *, recorded: Layout | None = None) -> None:
    """Check that no other program has namespaces of the names that a lab gives.

    Arguments:
        layout: of the lab.
        recorded: of what has crashed in its run directory, None for nothing.

    Raises:
        ClashError: another program has.
    """
    for name in (
        layout.underlay,
        layout.outside,
        *map(layout.host_namespace, layout.hosts),
        *existing(layout.instance_prefix),
    ):
        Namespace(name, owner=layout.owner).check()
    # Those of the metadata service do not say whose they are; they are their host's, if that is there.
    ours = set(map(recorded.metadata_namespaces, recorded.hosts)) if recorded else set()
    for host in layout.hosts:
        start = layout.metadata_namespaces(host)
        if start not in ours and not Namespace(layout.host_namespace(host)).exists and (found := existing(start)):
            raise ClashError(f"the namespace {found[0]} exists already: choose another --prefix, or remove it")


def remove_all(layout: Layout, state: State) -> list[Namespace]:
    """End every process of a lab, and remove its namespaces and all files in its run directory.

    Arguments:
        layout: of the lab; if another one is recorded, then with other hosts or another prefix.
        state: what is recorded of it, if anything is.

    Returns:
        what it leaves: namespaces of its names that it has not made.
    """
    recorded = state.things(Kind.NAMESPACE) if state.exists else {}
    _end_processes(layout)
    for host in layout.hosts:
        remove_metadata(Hypervisor(layout, host))
    # What the lab has made says so, even where the record of it is lost.
    spaces = [
        Namespace(name, owner=layout.owner) for name in dict.fromkeys((*reversed(recorded), *existing(layout.prefix)))
    ]
    left = [space for space in spaces if space.is_foreign]
    for space in spaces:
        if space not in left and (space.whole or space.name in recorded):
            space.remove()
    for entry in sorted(layout.rundir.iterdir(), key=state.path.__eq__):  # the state file last
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    return [space for space in left if space.name in recorded]


def _end_processes(layout: Layout) -> None:
    active = supervisor.active(layout.rundir)
    if active is not None:
        process.stop([active], grace=10)
    for _ in range(20):  # a dying lab may still start something between a look and the next
        left = process.marked(layout.rundir)
        if not left:
            break
        process.stop(left)


def remove_metadata(hypervisor: Hypervisor) -> None:
    """Remove the namespaces that a hypervisor's metadata service has made: those of its name, if that is ours."""
    if not hypervisor.namespace.is_foreign:
        for name in existing(hypervisor.layout.metadata_namespaces(hypervisor.name)):
            Namespace(name).remove()
