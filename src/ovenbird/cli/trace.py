"""`ovenbird trace`: what happens to a packet, and why."""

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click
from click.core import ParameterSource

from ovenbird.cli.options import rundir_option
from ovenbird.cli.remotes import chosen, found, key_options, named
from ovenbird.engine.rows import Row, Store
from ovenbird.lang.errors import LangError
from ovenbird.model import cloud, sb
from ovenbird.northd.features import EXPLANATIONS
from ovenbird.ovsdb.tls_keys import TlsKeys
from ovenbird.verify import render
from ovenbird.verify.database_dump import SOUTHBOUND, DatabaseDump
from ovenbird.verify.errors import UnreachableDatabaseError, VerifyError
from ovenbird.verify.network import LogicalNetwork
from ovenbird.verify.packet_query import PacketQuery, Protocol, microflow
from ovenbird.verify.provenance import Provenance, tables_of
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
@click.option(
    *("--db", "db"),
    metavar="REMOTE",
    envvar="OVN_SB_DB",
    show_envvar=True,
    help="Southbound: unix:FILE, tcp:HOST:PORT or ssl:HOST:PORT; by default that of the run directory, else OVN's.",
)
@click.option(
    *("--nb", "nb_remote"),
    metavar="REMOTE",
    envvar="OVN_NB_DB",
    show_envvar=True,
    help="Northbound, to name the rows behind flows.",
)
@click.option(
    *("--cloud", "cloud_remote"),
    metavar="REMOTE",
    envvar="OVENBIRD_CLOUD_DB",
    show_envvar=True,
    help="Cloud, to name security group rules.",
)
@rundir_option
@click.option(
    "--from",
    "source",
    metavar="WHO",
    help="The sender: a port's name, MAC or IP address, or an outside address.",
)
@click.option("--to", "target", metavar="WHO", help="The destination, likewise.")
@click.option("--tcp", metavar="N", type=click.IntRange(0, 65535), help="A TCP segment to this port.")
@click.option("--udp", metavar="N", type=click.IntRange(0, 65535), help="A UDP datagram to this port.")
@click.option("--icmp", is_flag=True, help="An echo request (the default).")
@click.option("--arp", is_flag=True, help="An ARP request.")
@click.option("--dhcp", is_flag=True, help="A DHCP request (broadcast, without --to).")
@click.option("--reply", is_flag=True, help="Also trace the reply in the same connection.")
@click.option("--ct", metavar="FLAGS", multiple=True, help="The result of each ct_next in turn (new or est,rpl ...).")
@click.option("--detailed", is_flag=True, help="Every stage that does something (the default).")
@click.option("--summary", is_flag=True, help="Only pipelines and actions.")
@click.option("--minimal", is_flag=True, help="Only changes and outputs.")
@click.option("--all", "everything", is_flag=True, help="Every stage, also those without effect.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with every stage.")
@key_options
def command(
    *,
    words: tuple[str, ...],
    db: str | None,
    nb_remote: str | None,
    cloud_remote: str | None,
    rundir: Path,
    keys: TlsKeys | None,
    source: str | None,
    target: str | None,
    tcp: int | None,
    udp: int | None,
    icmp: bool,
    arp: bool,
    dhcp: bool,
    reply: bool,
    ct: tuple[str, ...],
    detailed: bool,
    summary: bool,
    minimal: bool,
    everything: bool,
    as_json: bool,
) -> None:
    """Trace a packet through the logical network, and show which flow, ACL or security group rule decides.

    MICROFLOW is an expression as in ovn-trace(8): inport == "p" && eth.src == 0a:00:00:00:00:01 && icmp4 ... DATAPATH
    is the name or UUID of a switch, router or network; by default it is that of the inport. The databases may be those
    of any OVN deployment.

    With --from and --to, the packet is what the sender would send: it follows the routes that DHCP gave the sender, and
    has the MAC address of the next hop. A host outside is given by an address that no port has, or by the name of a
    network on a physical network, which stands for a host beyond it (192.0.2.1, 2001:db8::1). A packet from outside to
    a port is sent to the port's floating IP.

    The trace keeps track of connections: the packet is the first of a new one, and its reply (--reply) belongs to it.
    """
    kinds = {"--tcp": tcp is not None, "--udp": udp is not None, "--icmp": icmp, "--arp": arp, "--dhcp": dhcp}
    kind = _one_of(kinds)
    form = _one_of({"--detailed": detailed, "--summary": summary, "--minimal": minimal, "--json": as_json})
    if everything and form in ("--summary", "--minimal"):
        raise click.UsageError(f"--all applies to --detailed only: {form} shows no stages")
    datapath, text = _arguments(words, source, target, kind)
    query = None
    if source is not None:
        protocol = Protocol(kind.removeprefix("--")) if kind else Protocol.ICMP
        query = PacketQuery(
            source=source, target=target or "", protocol=protocol, port=tcp if tcp is not None else udp or 0
        )
    try:
        with _tracer(db, nb_remote, cloud_remote, rundir, keys) as tracer:
            if query is not None:
                start, text = microflow(tracer.network, query, datapath)
                datapath = start.uuid
            traces = [tracer.trace(datapath, text, ct=ct)]
            if reply:
                traces.append(tracer.reply(traces[0]))
    except (VerifyError, LangError) as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps([trace.to_json() for trace in traces] if reply else traces[0].to_json(), indent=2))
    else:
        _show(traces, form.removeprefix("--") or "detailed", everything=everything)


def _one_of(options: dict[str, bool]) -> str:
    """Return which of options that exclude each other is given, the empty string for none."""
    given = [name for name, is_given in options.items() if is_given]
    if len(given) > 1:
        *names, last = options
        raise click.UsageError(f"give one of {', '.join(names)} and {last}, not {' and '.join(given)}")
    return given[0] if given else ""


def _arguments(words: tuple[str, ...], source: str | None, target: str | None, kind: str) -> tuple[str | None, str]:
    """Return datapath and microflow; with --from there is no microflow."""
    if source is not None:
        if len(words) > 1:
            raise click.UsageError("--from takes no microflow: give [DATAPATH] --from WHO --to WHO")
        return words[0] if words else None, ""
    if target is not None or kind:
        raise click.UsageError(
            f"{'--to' if target is not None else kind} needs --from; with a microflow it is not needed"
        )
    if len(words) not in (1, 2):
        raise click.UsageError("give [DATAPATH] MICROFLOW, or [DATAPATH] --from WHO --to WHO")
    if not any(sign in words[-1] for sign in " =(!"):
        raise click.UsageError(f"{words[-1]} is not a microflow; for a packet between ports give --from WHO --to WHO")
    return words[0] if len(words) == 2 else None, words[-1]


@contextmanager
def _tracer(
    db: str | None, nb_remote: str | None, cloud_remote: str | None, rundir: Path, keys: TlsKeys | None
) -> Iterator[Tracer]:
    """Read the databases: those named, or else those of the cloud in the run directory."""
    remote = chosen(db, database="sb", rundir=rundir)
    is_named = bool(named("db", remote=db))
    source = click.get_current_context().get_parameter_source
    with ExitStack() as stack:
        southbound = stack.enter_context(
            DatabaseDump(remote, database="OVN_Southbound", row_classes=(*SOUTHBOUND, sb.LogicalFlow), keys=keys)
        )
        southbound.read(*SOUTHBOUND)
        stores: list[Store | None] = []
        for option, given, database, name, tables in (
            ("nb_remote", nb_remote, "nb", "OVN_Northbound", tables_of(EXPLANATIONS)),
            ("cloud_remote", cloud_remote, "cloud", "Cloud", CLOUD),
        ):
            try:
                place = named(option, remote=given) or ("" if is_named else found(database, rundir))
                stores.append(
                    _read(stack, DatabaseDump(place, database=name, row_classes=tables, keys=keys), tables)
                    if place
                    else None
                )
            except (UnreachableDatabaseError, click.ClickException) as error:
                if source(option) is ParameterSource.COMMANDLINE:
                    raise
                click.echo(f"ovenbird: {error}: flows are shown without the rows behind them", err=True)
                stores.append(None)
        northbound, cloud_store = stores
        provenance = Provenance(
            EXPLANATIONS, northbound=northbound, southbound=southbound.store, cloud_store=cloud_store
        )
        yield Tracer(LogicalNetwork(southbound.store, southbound.read_flows), provenance)


def _read(stack: ExitStack, dump: DatabaseDump, tables: tuple[type[Row], ...]) -> Store:
    """Return whole tables of a database."""
    stack.enter_context(dump).read(*tables)
    return dump.store


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
    from rich.text import Text  # noqa: PLC0415 - programs that read the text need not wait for it

    from ovenbird.cli.tables import console, hanging  # noqa: PLC0415 - likewise

    terminal = console()
    for line in lines:
        text = Text(line.text.lstrip(), style=STYLES.get(line.role, ""))
        pad = len(line.text) - len(text)
        if line.role == "block" and not line.text.strip("- "):
            text.truncate(terminal.width - pad)
        for part in hanging(Text(" " * pad), body=text, width=terminal.width, indent=pad + 8):
            terminal.print(part, soft_wrap=True)
