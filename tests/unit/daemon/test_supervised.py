"""Each daemon at each stage of its start, whatever becomes of its databases: a supervisor sees it wait, work and end.

None ends by itself, none keeps to itself why it does not work, each works once its database is right, none hangs. The
cells of the table run at the same time, most of which they spend waiting.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import shutil
import signal
import socket
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from ovenbird.model import cloud, nb, sb, vswitch
from ovenbird.ovsdb.journal import create, open_database
from ovenbird.ovsdb.schema import DatabaseSchema
from support.daemon.forked import ended, names_block, start, turns_end
from support.waiting import until_async

AT_ONCE = 24
"""Cells at work."""
FIRST_ROWS = {
    "nb": (nb, nb.NBGlobal, {}),
    "sb": (sb, sb.SBGlobal, {}),
    "cloud": (cloud, cloud.CloudGlobal, {}),
}
OVN = ("nb", "sb", "cloud")
OTHER_TYPES = {
    "nb": (nb, "NB_Global", "nb_cfg"),
    "sb": (sb, "SB_Global", "nb_cfg"),
    "cloud": (cloud, "Cloud_Global", "options"),
    "vswitch": (vswitch, "Open_vSwitch", "external_ids"),
}
"""By database: a column that is read, to be of a type that it should not have."""


@dataclass(frozen=True)
class Case:
    """A daemon and what it is told: `AT` is where the database in question is, `GOOD` and `BESIDE` are in order.

    Arguments:
        daemon: its name.
        argv: what it is told.
        has: the databases in question.
        beside: whether it has a database of Open vSwitch besides, which says that Southbound is at `AT`.
    """

    daemon: str
    argv: tuple[str, ...]
    has: tuple[str, ...]
    beside: bool = False


BOOTS = ("--boots=PLACE", "--prefix=NUMBER-")
CASES = {
    "northd": Case("northd", ("--ovnnb-db=unix:AT", "--ovnsb-db=unix:AT"), OVN),
    "northd, Southbound": Case("northd", ("--ovnnb-db=unix:GOOD", "--ovnsb-db=unix:AT"), OVN),
    "api": Case("api", ("--cloud-db=unix:AT", "--ovnnb-db=unix:AT", "--ovnsb-db=unix:AT", "--port=0"), OVN),
    "api, below": Case("api", ("--cloud-db=unix:GOOD", "--ovnnb-db=unix:AT", "--ovnsb-db=unix:AT", "--port=0"), OVN),
    "db": Case("db", ("--sync-from=unix:AT", "--create=nb", "PLACE/copy.db"), ("nb",)),
    "controller": Case("controller", ("unix:AT",), ("vswitch",)),
    "controller, Southbound": Case("controller", ("unix:BESIDE",), ("sb",), beside=True),
    "metadata": Case("metadata", (*BOOTS, "unix:AT"), ("vswitch",)),
    "metadata, Southbound": Case("metadata", (*BOOTS, "unix:BESIDE"), ("sb",), beside=True),
}
if os.geteuid():
    CASES = {name: case for name, case in CASES.items() if case.daemon not in ("controller", "metadata")}

REASONS = {
    "absent": "No such file or directory",
    "no socket": "Connection refused",
    "another": "no database|unknown database",
    "other types": r"(NB_Global|SB_Global|Cloud_Global|Open_vSwitch)\.\w+ is real, not ",
    "no OVSDB": "connection attempt failed",
    "refusing": "connection attempt failed",
    "silent": "has not answered",
    "dripping": "has not answered",
    "killed": ": connection (closed|dropped)",
    "frozen": "has not answered",
}
"""What may be the matter with a database, and what the log has to say then."""


CONNECTED = ("absent", "another", "silent", "dripping", "killed", "frozen")
"""Those in which a daemon may be about different things when it is told to end."""


class Peer(asyncio.Protocol):
    """A server that is none.

    Arguments:
        how: of `REASONS`.
        met: gets the transport of each connection.
    """

    def __init__(self, how, met):
        self.how = how
        self.met = met

    def connection_made(self, transport):
        self.transport = transport
        self.met.append(transport)
        if self.how == "refusing":
            transport.close()

    def data_received(self, _data):
        if self.how == "no OVSDB":
            self.transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        elif self.how == "dripping":
            self.drip(b'{"id":1,"error":null,"result":{"Database":{}}}')

    def drip(self, rest):
        if rest and not self.transport.is_closing():
            self.transport.write(rest[:1])
            asyncio.get_running_loop().call_later(1, self.drip, rest[1:])


class World:
    """The folder of all cells, what they share, and what was started."""

    def __init__(self, place):
        self.place = place
        self.good = place / "good"
        self.numbers = itertools.count()
        self.files = {}
        for name, (model, row, values) in FIRST_ROWS.items():
            self.files[name] = database(place / f"{name}.db", model, row, values)
        self.server = serve(self.good, self.folder(), self.files.values())

    def folder(self):
        made = self.place / str(next(self.numbers))
        made.mkdir()
        return made


def mistyped(model, table, column):
    """Return a schema in which one column holds a real number."""
    json = model.schema().to_json()
    json["tables"][table]["columns"][column] = {"type": "real"}
    return DatabaseSchema.from_json(json)


def database(path, model, row, values):
    """Make a database with one row in a file."""
    create(path, model.schema())
    opened = open_database(path, model.ROWS)
    first = opened.transaction()
    first.insert(row, values)
    first.commit()
    opened.journal.close()
    return path


def serve(at, place, files):
    return start("db", [f"--remote=punix:{at}", f"--unixctl={place / 'db.ctl'}", *map(str, files)], place)


class Cell:
    """One daemon with one database.

    Arguments:
        world: where it is.
        case: what it is told.
        what: of `REASONS`, what becomes of its database.
    """

    def __init__(self, world, case, what="absent"):
        self.world = world
        self.case = case
        self.what = what
        self.place = world.folder()
        self.at = self.place / "at"
        self.processes = []
        self.server = self.faked = None
        self.met = []

    async def close(self):
        if self.faked is not None:
            self.faked.close()
        for process in self.processes:
            process.kill()
            await ended(process)
            process.close()

    # -- the daemon -----------------------------------------------------------------------------------------------

    def start(self, *more, env=(), instead=None):
        words = {"AT": self.at, "GOOD": self.world.good, "PLACE": self.place, "NUMBER": f"s{self.place.name}"}
        words["BESIDE"] = self.place / "beside"
        told = [re.sub("|".join(words), lambda word: str(words[word[0]]), text) for text in self.case.argv]
        argv = [*more, "--log-file=log", f"--unixctl={self.place / 'ctl'}", f"--pidfile={self.place / 'pid'}", *told]
        self.process = start(self.case.daemon, argv, self.place, env=env, instead=instead)
        self.processes.append(self.process)

    def text(self, name):
        path = self.place / name
        return path.read_text() if path.exists() else ""

    async def says(self, pattern, times=1):
        """Wait until the log has what matches a pattern, so many times."""

        def said():
            done = len(re.findall(pattern, self.text("log"))) >= times
            assert done or self.process.exitcode is None, f"it has ended with {self.process.exitcode}"
            return done

        await until_async(said)

    async def stop(self):
        """Tell the daemon to end, and look at how it does."""
        orders = [signal.SIGTERM]
        if self.what == "absent":  # and somebody has frozen it
            orders = [signal.SIGSTOP, signal.SIGTERM, signal.SIGCONT]
        for order in orders:
            os.kill(self.process.pid, order)
        assert await ended(self.process) == 0
        assert not self.text("pid")
        assert not (self.place / "ctl").exists()
        assert "Traceback" not in self.text("err") + self.text("log")

    # -- its database ---------------------------------------------------------------------------------------------

    def serve(self, names=None, types=None):
        """Serve what is in question as it should be, or databases of other names, or with a column of another type."""
        files = []
        for name in names or self.case.has:
            files.append(self.place / f"{'mistyped-' if types else ''}{name}.db")
            if types:
                create(files[-1], mistyped(*types[name]))
            elif name == "vswitch" and not files[-1].exists():
                self.switch(files[-1], self.place / "nobody")
            elif not files[-1].exists():
                shutil.copy(self.world.files[name], files[-1])
        self.server = serve(self.at, self.place, files)
        self.processes.append(self.server)

    def switch(self, path, southbound):
        """Make a database of Open vSwitch that says where Southbound is."""
        ids = {"system-id": f"hv{self.place.name}", "ovn-remote": f"unix:{southbound}"}
        return database(path, vswitch, vswitch.OpenVSwitch, {"external_ids": ids})

    async def begin(self):
        """Start the daemon, and make its database what it should not be."""
        if self.case.beside:
            file = self.switch(self.place / "beside.db", self.at)
            self.processes.append(serve(self.place / "beside", self.world.folder(), [file]))
        if self.what in ("killed", "frozen"):
            self.serve()
        elif self.what == "no socket":
            self.at.write_text("")
        elif self.what == "another":
            self.serve(("sb",) if "vswitch" in self.case.has else ("vswitch",))
        elif self.what == "other types":
            self.serve(types=OTHER_TYPES)
        elif self.what != "absent":
            loop = asyncio.get_running_loop()
            self.faked = await loop.create_unix_server(partial(Peer, self.what, self.met), self.at)
        self.start()
        if self.what in ("killed", "frozen"):
            await self.says(f"unix:{self.at}: connected")
            os.kill(self.server.pid, signal.SIGKILL if self.what == "killed" else signal.SIGSTOP)

    async def mend(self):
        """Make the database what it should be."""
        if self.what == "frozen":
            os.kill(self.server.pid, signal.SIGCONT)
            return
        if self.server is not None:
            self.server.terminate()
            await ended(self.server)
        if self.faked is not None:
            self.faked.close()
            for transport in self.met:
                transport.abort()
        self.at.unlink(missing_ok=True)
        if self.what == "killed" or "vswitch" in self.case.has:
            self.serve()
        else:
            self.at.symlink_to(self.world.good)

    # -- what is seen ---------------------------------------------------------------------------------------------

    async def waits_and_works(self):
        """Have it start, reload, work at last, and end."""
        await self.begin()
        await self.says(REASONS[self.what])
        if self.what == "absent":  # and somebody kills it: the next one minds nothing that it has left
            self.process.kill()
            await ended(self.process)
            assert self.text("pid")
            self.start()
            await self.says("starts", 2)
        opened = self.text("log").count("opened log file")
        os.kill(self.process.pid, signal.SIGHUP)
        await self.says("opened log file", opened + 1)
        connected = self.text("log").count(f"unix:{self.at}: connected")
        if self.what == "frozen" and "--cloud-db=unix:AT" in self.case.argv:
            await self.answers(503, "/healthcheck")
        await self.mend()
        if self.what == "frozen":
            await self.says("the server answers")
        else:
            await self.says(f"unix:{self.at}: connected", connected + 1)
        if self.case.daemon == "api":
            await self.answers(200)
        await self.stop()

    async def ends_at_once(self):
        """Have it end while the database is not as it should be."""
        await self.begin()
        await self.says("starts")
        await until_async(lambda: self.faked is None or self.met)
        await self.stop()

    async def waits_for_names(self):
        """Have it end while no name server answers."""
        self.start(instead=names_block)
        await self.says(r"name\.that\.blocks:6642: connection attempt failed \(no connection after 10 s\)")
        await self.stop()

    async def notifies(self):
        """Have a service manager hear of its start and of its end."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(self.place / "notify"))
            manager.settimeout(120)
            self.start(env=[("NOTIFY_SOCKET", str(self.place / "notify"))])
            assert await asyncio.to_thread(manager.recv, 64) == b"READY=1"
            await self.answers(503)
            await self.stop()
            assert manager.recv(64) == b"STOPPING=1"

    async def answers(self, wanted, *paths):
        """Wait until the API answers with a status: to all requests, or those named."""
        port = int(self.text("log").rpartition("127.0.0.1, port ")[2].split()[0])

        def status(path):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=120) as answer:
                    return answer.status
            except urllib.error.HTTPError as error:
                return error.code

        for path in paths or ("/healthcheck", "/v2.0/ports"):

            async def answered(path=path):
                return await asyncio.to_thread(status, path) == wanted

            await until_async(answered)


@pytest.fixture
async def world():
    with tempfile.TemporaryDirectory(prefix="ovb") as name:  # short: it is part of the names of sockets
        made = World(Path(name))
        await until_async(made.good.exists)
        yield made
        made.server.kill()
        await ended(made.server)
        made.server.close()


async def test_a_daemon_waits_works_and_ends_whatever_state_its_database_is_in(world):
    turns = asyncio.Semaphore(AT_ONCE)
    failures = []

    async def run(act, case, what="absent"):
        async with turns:
            cell = Cell(world, case, what)
            try:
                await act(cell)
            except Exception as error:  # noqa: BLE001 - it is told of below, with those of others
                said = cell.text("err") + cell.text("log")
                failures.append(f"{case}; {what}; {act.__name__}: {error!r}\n{said}")
            finally:
                await cell.close()

    cells = [
        run(
            Cell.waits_for_names, Case("northd", ("--ovnnb-db=unix:GOOD", "--ovnsb-db=tcp:name.that.blocks:6642"), OVN)
        ),
        run(Cell.notifies, CASES["api"]),
        *(
            run(Cell.waits_and_works, case, what)
            for what in REASONS
            for case in CASES.values()
            if (case.daemon, what) != ("db", "other types")
        ),
        *(run(Cell.ends_at_once, case, what) for what in CONNECTED for case in CASES.values()),
    ]
    await asyncio.gather(*cells)
    assert not failures, "\n\n".join(failures)


@pytest.fixture
async def cell(world, request):
    made = Cell(world, request.param)
    yield made
    await made.close()


def told(daemon, *argv):
    """Return what `cell` takes: a daemon that is told something of its own."""
    return pytest.mark.parametrize("cell", [Case(daemon, argv, ())], indirect=True)


@told("northd", "--ovnnb-db=unix:GOOD", "--ovnsb-db=unix:GOOD")
async def test_a_busy_compiler_does_not_delay_the_end(cell):
    cell.start(instead=turns_end)
    await cell.says("the event loop has no turn")
    await cell.stop()
    assert "the process ends without it" in cell.text("log")


@told("northd", "--ovnnb-db=unix:GOOD", "--ovnsb-db=unix:GOOD")
async def test_a_standby_ends_at_sigterm(world, cell):
    cell.start()
    await cell.says("lock acquired")
    other = Cell(world, cell.case)
    try:
        other.start()
        await other.says("connected", 2)
        await other.stop()
        assert "lock acquired" not in other.text("log")
    finally:
        await other.close()
    await cell.stop()


@told("northd", "--ovnnb-db=unix:GOOD")
async def test_an_unfinished_tls_handshake_does_not_delay_the_end(cell):
    silent = await asyncio.get_running_loop().create_server(partial(Peer, "silent", cell.met), "127.0.0.1", 0)
    line = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=x"
    files = ("-keyout", cell.place / "key", "-out", cell.place / "cert")
    making = await asyncio.create_subprocess_exec(*line.split(), *files, stderr=asyncio.subprocess.DEVNULL)
    assert await making.wait() == 0
    options = (f"--{name}={cell.place / file}" for name, file in
               (("private-key", "key"), ("certificate", "cert"), ("ca-cert", "cert")))  # fmt: skip
    cell.start(f"--ovnsb-db=ssl:127.0.0.1:{silent.sockets[0].getsockname()[1]}", *options)
    await until_async(lambda: cell.met)
    await cell.stop()
    silent.close()


FILES = {
    "another": (lambda path: create(path, sb.schema()), "has no table "),
    "of other types": (
        lambda path: create(path, mistyped(*OTHER_TYPES["nb"])),
        "NB_Global.nb_cfg is real, not integer",
    ),
    "of another release": (lambda path: create(path, without(nb, "ACL", "label")), "ACL.label is only in one of them"),
    "no database": (lambda path: path.write_text("hello"), "not a database of the standalone format"),
    "a directory": (lambda path: path.mkdir(), "Is a directory"),
}
"""What may be where central has Northbound's file, and what it says of it."""


def without(model, table, column):
    """Return a schema that lacks a column."""
    json = model.schema().to_json()
    del json["tables"][table]["columns"][column]
    return DatabaseSchema.from_json(json)


@pytest.mark.parametrize("what", FILES)
@told("central", "--rundir=PLACE", *(f"--{of}-port=0" for of in ("api", *OVN)))
async def test_a_file_of_its_own_that_is_not_right_is_one_line_of_central(cell, what):
    make, reason = FILES[what]
    make(cell.place / "nb.db")
    cell.start()
    assert await ended(cell.process) == 1
    assert reason in cell.text("err")
    assert cell.text("err").count("\n") == 1


# -- in the background ------------------------------------------------------------------------------------------------

DETACHED = {
    **{name: case for name, case in CASES.items() if name == case.daemon},
    "central": Case("central", ("--rundir=PLACE", *(f"--{of}-port=0" for of in ("api", *OVN))), ()),
}


def running(cell):
    """Return whether the process whose number is in the pid file is there."""
    pid = cell.text("pid").strip()
    return bool(pid) and Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("cell", DETACHED.values(), ids=DETACHED, indirect=True)
async def test_a_daemon_is_in_the_background_before_its_databases_are_there(cell):
    cell.start("--detach")
    assert await ended(cell.process) == 0, cell.text("err")
    assert running(cell)
    os.kill(int(cell.text("pid")), signal.SIGTERM)
    await until_async(lambda: not cell.text("pid"))
    assert not (cell.place / "ctl").exists()


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@told("db", "PLACE/pipe")
async def test_a_daemon_that_ends_before_it_is_ready_is_reported(cell, number):
    os.mkfifo(cell.place / "pipe")  # which nobody writes to: to open it takes for ever
    cell.start("--detach")
    await until_async(lambda: running(cell))
    assert children(cell.process.pid) == [int(cell.text("pid"))]
    os.kill(cell.process.pid if number == signal.SIGTERM else int(cell.text("pid")), number)
    assert await ended(cell.process) == 1
    why = ", killed by SIGKILL" if number == signal.SIGKILL else ""
    assert f"ovsdb-server: the daemon ended before it was ready{why}\n" in cell.text("err")
    assert not running(cell)


@told("api", "--cloud-db=unix:AT")
async def test_errors_at_start_are_reported_before_the_daemon_detaches(cell):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        cell.start("--detach", f"--port={taken.getsockname()[1]}")
        assert await ended(cell.process) == 1
    assert "Address already in use" in cell.text("err")
    assert "Address already in use" in cell.text("log")
    assert cell.text("err").count("\n") == 1
