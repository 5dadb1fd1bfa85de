"""`ovenbird trace`: what happens to a packet, and why."""

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from ovenbird.cli.options import rundir_option
from ovenbird.engine.rows import Row, Store
from ovenbird.lab.plan import Plan
from ovenbird.lab.state import Kind, State
from ovenbird.lang.errors import LangError
from ovenbird.model import cloud, sb
from ovenbird.verify import render
from ovenbird.verify.errors import UnreachableDatabaseError, VerifyError
from ovenbird.verify.network import Network
from ovenbird.verify.origin import SOURCES, Origins
from ovenbird.verify.question import Protocol, Question, microflow
from ovenbird.verify.snapshot import SOUTHBOUND, Snapshot
from ovenbird.verify.steps import Trace
from ovenbird.verify.trace import Tracer

CLOUD = (cloud.SecurityGroup, cloud.SecurityGroupRule)

STYLES = {
    "title": "dim",
    "block": "bold cyan",
    "flow": "",
    "action": "dim",
    "note": "dim italic",
    "origin": "yellow",
    "change": "magenta",
    "output": "bold green",
    "drop": "bold red",
    "verdict": "bold",
}
"""How a terminal shows each role of a line."""


@click.command("trace")
@click.argument("words", metavar="[DATAPATH] MICROFLOW", nargs=-1)
@click.option("--db", metavar="REMOTE", envvar="OVN_SB_DB", help="Southbound; that of the running cloud if not given.")
@click.option("--nb", "nb_remote", metavar="REMOTE", envvar="OVN_NB_DB", help="Northbound, for what is behind flows.")
@click.option("--cloud", "cloud_remote", metavar="REMOTE", help="Cloud, for security group rules.")
@rundir_option
@click.option("--from", "source", metavar="PORT", help="In place of a microflow: the port (name, MAC, IP) that sends.")
@click.option("--to", "target", metavar="PORT", help="The port or address that it sends to.")
@click.option("--tcp", metavar="N", type=click.IntRange(0, 65535), help="To that TCP port.")
@click.option("--udp", metavar="N", type=click.IntRange(0, 65535), help="To that UDP port.")
@click.option("--icmp", "protocol", flag_value=Protocol.ICMP.value, help="An echo request (the default).")
@click.option("--arp", "protocol", flag_value=Protocol.ARP.value, help="An ARP request.")
@click.option("--dhcp", "protocol", flag_value=Protocol.DHCP.value, help="A DHCP request; it needs no --to.")
@click.option("--reply", is_flag=True, help="Trace the answer too, as part of the connection.")
@click.option("--ct", metavar="FLAGS", multiple=True, help="What ct_next says (new or est,rpl ...), each in its turn.")
@click.option("--detailed", "form", flag_value="detailed", default="detailed", help="Every stage that does something.")
@click.option("--summary", "form", flag_value="summary", help="Pipelines and actions alone.")
@click.option("--minimal", "form", flag_value="minimal", help="Changes and outputs alone.")
@click.option("--all", "everything", is_flag=True, help="Every stage, also those that hand every packet on.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def command(
    words: tuple[str, ...],
    db: str | None,
    nb_remote: str | None,
    cloud_remote: str | None,
    rundir: Path,
    source: str | None,
    target: str | None,
    tcp: int | None,
    udp: int | None,
    protocol: str | None,
    reply: bool,
    ct: tuple[str, ...],
    form: str,
    everything: bool,
    as_json: bool,
) -> None:
    """Trace a packet through the logical network, and say what decided: which flow, ACL, security group rule.

    MICROFLOW is an expression of ovn-trace(8): inport == "p" && eth.src == 0a:00:00:00:00:01 && icmp4 ... DATAPATH is
    a switch, router or network, by name or UUID; that of the inport if not given. With --from and --to the expression
    is made from the ports' addresses. The databases may be any OVN's: unix:FILE or tcp:HOST:PORT.

    Connections are followed: the first packet is new, its answer (--reply) belongs to the connection it began.
    """
    datapath, text = _arguments(words, source)
    question = None if source is None else _question(source, target, tcp, udp, protocol)
    try:
        with _tracer(db, nb_remote, cloud_remote, rundir) as tracer:
            if question is not None:
                start, text = microflow(tracer.network, question, datapath)
                datapath = start.uuid
            traces = [tracer.trace(datapath, text, ct)]
            if reply:
                traces.append(tracer.reply(traces[0]))
    except (VerifyError, LangError) as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps([trace.to_json() for trace in traces] if reply else traces[0].to_json(), indent=2))
    else:
        _show(traces, form, everything=everything)


def _arguments(words: tuple[str, ...], source: str | None) -> tuple[str | None, str]:
    """Return datapath and microflow; with --from there is no microflow."""
    most = 2 if source is None else 1
    if len(words) > most or (source is None and not words):
        raise click.UsageError("give [DATAPATH] MICROFLOW, or [DATAPATH] --from PORT --to PORT")
    if source is not None:
        return words[0] if words else None, ""
    return words[0] if len(words) == 2 else None, words[-1]


def _question(source: str, target: str | None, tcp: int | None, udp: int | None, protocol: str | None) -> Question:
    if sum(choice is not None for choice in (tcp, udp, protocol)) > 1:
        raise click.UsageError("give one of --tcp, --udp, --icmp, --arp and --dhcp")
    if tcp is not None:
        return Question(source, target or "", Protocol.TCP, tcp)
    if udp is not None:
        return Question(source, target or "", Protocol.UDP, udp)
    return Question(source, target or "", Protocol(protocol or Protocol.ICMP))


@contextmanager
def _tracer(db: str | None, nb_remote: str | None, cloud_remote: str | None, rundir: Path) -> Iterator[Tracer]:
    """Read the databases: those named, or else those of the cloud in the run directory."""
    named = db is not None
    if db is None:
        plan = Plan.from_json(State(rundir).things(Kind.PLAN)["lab"])
        db, nb_remote = plan.remote("sb"), nb_remote or plan.remote("nb")
        cloud_remote = cloud_remote or plan.remote("cloud")
    with ExitStack() as stack:
        southbound = stack.enter_context(Snapshot(db, "OVN_Southbound", (*SOUTHBOUND, sb.LogicalFlow)))
        southbound.read(*SOUTHBOUND)
        stores: list[Store | None] = []
        for remote, name, tables in ((nb_remote, "OVN_Northbound", SOURCES), (cloud_remote, "Cloud", CLOUD)):
            try:
                stores.append(None if remote is None else _read(stack, remote, name, tables))
            except UnreachableDatabaseError as error:
                if named:
                    raise
                click.echo(f"ovenbird: {error}: flows are shown without what is behind them", err=True)
                stores.append(None)
        yield Tracer(Network(southbound.store, southbound.read_flows), Origins(*stores))


def _read(stack: ExitStack, remote: str, name: str, tables: tuple[type[Row], ...]) -> Store:
    """Return whole tables of a database."""
    snapshot = stack.enter_context(Snapshot(remote, name, tables))
    snapshot.read(*tables)
    return snapshot.store


def _show(traces: Iterable[Trace], form: str, *, everything: bool) -> None:
    """Print traces, in colours where a person looks on."""
    lines: list[render.Line] = []
    for trace in traces:
        if lines:
            lines.append(render.Line(""))
        lines += render.detailed(trace, everything=everything) if form == "detailed" else render.FORMS[form](trace)
    if not sys.stdout.isatty():
        click.echo("\n".join(line.text for line in lines))
        return
    from rich.console import Console  # noqa: PLC0415 - programs that read the text need not wait for it
    from rich.text import Text  # noqa: PLC0415 - likewise

    console = Console()
    for line in lines:
        console.print(Text(line.text, style=STYLES.get(line.role, "")), soft_wrap=True)
