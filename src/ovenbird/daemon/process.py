"""The life of a daemon: pid file, detaching, control socket, signals, a clean end.

`run` does for every daemon what ovs-vswitchd(8) describes under "Daemon Options": with `--detach` the process goes to
the background and the command returns once the daemon is ready, so that scripts can rely on it; a pid file is locked
while the process lives; SIGTERM, SIGINT and the command `exit` end it cleanly, SIGHUP reopens the log. Only `exit`
means that the daemon will not be started again: a service manager, or a machine that reboots, sends SIGTERM. Invariant:
a daemon that ends without having been told to has logged the reason, and its exit status is not 0.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import grp
import logging
import os
import pwd
import signal
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ovenbird
from ovenbird.daemon import counter_commands, descriptors, log_commands, options
from ovenbird.daemon.errors import UsageError
from ovenbird.daemon.help import Usage, help_text, option_list
from ovenbird.daemon.logs import Logs
from ovenbird.daemon.options import COMMON, Options
from ovenbird.daemon.shutdown import Ending, Workers, leave
from ovenbird.daemon.unixctl import Unixctl, UnixctlError
from ovenbird.engine.gc_pause import tune
from ovenbird.sockets.run_directory import run_directory

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from ovenbird.daemon.options import Option

log = logging.getLogger(__name__)

LIKE = {"ovs": "3.1.0", "ovn": "23.03.1"}
"""The release of Open vSwitch or OVN that a daemon stands in for: `ovs-ctl` and `ovn-ctl` read the last word of the
first line of `version`, and use the command `exit` from 2.5.90 on; before that, SIGTERM."""


class Daemon:
    """One daemon program.

    Arguments:
        command: its name behind `ovenbird`.
        program: its name for pid file, control socket and log, as the original is called (`ovn-northd`).
        kind: whose run directory it uses, `"ovs"` or `"ovn"`.
        own: its long options beyond the common ones.
        usage: what `--help` says besides the options.
        main: what it does, until `stopping` is set.
        short: its short options beyond the common ones.
        operands: whether it takes arguments that are no options.
        exit_options: what the command `exit` may be given.
    """

    def __init__(
        self,
        command: str,
        *,
        program: str,
        kind: str,
        own: Mapping[str, Option],
        usage: Usage,
        main: Callable[[Daemon], Awaitable[None]],
        short: Mapping[str, str] | None = None,
        operands: bool = False,
        exit_options: tuple[str, ...] = (),
    ) -> None:
        self.command = command
        self.program = program
        self.kind = kind
        self.own = own
        self.usage = usage
        self.main = main
        self.short = short
        self.operands = operands
        self.exit_options = exit_options
        self.options = Options({})
        self.logs: Logs
        self.unixctl: Unixctl
        self.stopping: asyncio.Event
        self.exit_arguments: tuple[str, ...] | None = None
        """The arguments of the command `exit`; None until it is given."""
        self.version = f"{program} (Ovenbird {ovenbird.__version__}) {LIKE[kind]}"
        self.memory: list[Callable[[], Mapping[str, int]]] = []
        """What `memory/show` shows besides the process's own figures."""
        self._ready_pipe = -1
        self._pidfile_handle: Any = None
        self._files: list[Path] = []
        """The files by which others find this process: its pid file, for one."""
        self._ending = Ending(self._clean_up)

    def run(self, argv: Sequence[str]) -> int:
        """Run the daemon with these arguments and return its exit status."""
        try:
            self.options = options.parse(argv, self.own, self.short)
            if self.options.has("help"):
                sys.stdout.write(help_text(self.command, self.usage, self.own, self.short))
                return 0
            if self.options.has("options"):
                sys.stdout.write(option_list(self.own, self.short))
                return 0
            if self.options.has("version"):
                sys.stdout.write(self.version + "\n")
                return 0
            return leave(self._start())
        except UsageError as e:
            sys.stderr.write(f"{self.program}: {e}\n")
            return leave(1)

    def ready(self) -> None:
        """Report that the daemon serves, to the waiting parent of a detached start and to a service manager."""
        tell_service_manager("READY=1")
        if self._ready_pipe >= 0:
            with contextlib.suppress(BrokenPipeError):  # a restarted child: the waiting parent has ended
                os.write(self._ready_pipe, b"\0")
            os.close(self._ready_pipe)
            self._ready_pipe = -1
            if not self.options.has("no-chdir"):
                os.chdir("/")
            drop_stdio()
            self.logs.drop_console()

    # -- starting -------------------------------------------------------------------------------------------------

    def _start(self) -> int:
        tune()
        if self.options.arguments and not self.operands:
            raise UsageError(f"{self.options.arguments[0]}: only options are understood")
        self._set_up_logs()
        self._say_what_has_no_effect()
        try:
            return self._run()
        except UsageError as e:
            self.logs.drop_console()  # who started it reads the text alone
            log.error("%s", e)  # noqa: TRY400 - the text says it all
            raise
        except Exception:
            log.exception("%s ends because of an unexpected error", self.program)
            return 1

    def _run(self) -> int:
        descriptors.raise_limit()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is an event loop: the log was opened just now
        if self.options.has("detach"):
            reader, writer = os.pipe()
            if child := fork():
                os.close(writer)
                return until_ready(self.program, child, reader=reader)
            os.close(reader)
            os.setsid()
            self._ready_pipe = writer
        if self.options.has("monitor"):
            outcome = watch_child(detached=self.options.has("detach"))
            if outcome is not None:
                return outcome
        if (user := self.options.last("user")) is not None:
            become(user)
        self._ending.watch()
        try:
            self._write_pidfile()
            asyncio.run(self._main())
        finally:
            self._clean_up()
        return 0

    def _clean_up(self) -> None:
        for path in self._files:
            path.unlink(missing_ok=True)

    async def _main(self) -> None:
        self.stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.set_default_executor(Workers())
        loop.add_signal_handler(signal.SIGHUP, self._rotated)
        self._ending.pass_to(loop, self.stopping)
        self.unixctl = Unixctl(self._control_path(), self.version)
        self._register_commands()
        await self.unixctl.start()
        counter_commands.take_samples(loop)
        if self.unixctl.path is not None:
            self._files.append(self.unixctl.path)
        log.info("%s starts", self.version)
        try:
            await self.main(self)
        finally:
            tell_service_manager("STOPPING=1")
            await self.unixctl.stop()
            log.info("%s ends", self.program)

    def _set_up_logs(self) -> None:
        form = self.options.last("log-format") or "text"
        if form not in ("text", "json"):
            raise UsageError(f"--log-format={form}: text or json is needed")
        self.logs = Logs(self.program, json=form == "json")
        if method := self.options.last("syslog-method") or os.environ.get("OVS_SYSLOG_METHOD"):
            self.logs.use_syslog(method)
        if (target := self.options.last("syslog-target")) is not None:
            self.logs.copy_syslog(target)
        for spec in self.options.given.get("verbose", ()):
            self.logs.set(spec or "dbg")
        if self.options.has("log-file"):
            name = self.options.last("log-file") or f"{self.program}.log"
            self.logs.open_file(Path(options.log_directory(self.kind), name))

    def _say_what_has_no_effect(self) -> None:
        known = {**COMMON, **self.own}
        for name, values in self.options.given.items():
            if reason := known[name].no_effect(values[-1]):
                log.warning("--%s has no effect: %s", name if values[-1] is None else f"{name}={values[-1]}", reason)

    def _control_path(self) -> Path | None:
        name = self.options.last("unixctl") or f"{self.program}.{os.getpid()}.ctl"
        return None if name == "none" else Path(run_directory(self.kind), name)

    def _write_pidfile(self) -> None:
        if not self.options.has("pidfile"):
            return
        name = self.options.last("pidfile") or f"{self.program}.pid"
        path = Path(run_directory(self.kind), name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if self.options.has("overwrite-pidfile"):
                path.unlink(missing_ok=True)
            handle = path.open("a+")
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            handle.truncate(0)
            handle.write(f"{os.getpid()}\n")
            handle.flush()
        except BlockingIOError as e:
            raise UsageError(f"{path}: a running process holds this pid file") from e
        except OSError as e:
            raise UsageError(f"{path}: {e.strerror}") from e
        self._files.append(path)
        self._pidfile_handle = handle

    # -- commands -------------------------------------------------------------------------------------------------

    def _register_commands(self) -> None:
        exits = f"[{' | '.join(self.exit_options)}]" if self.exit_options else ""
        self.unixctl.register("exit", self._exit, exits, 0, 1)
        log_commands.register(self.unixctl, self.logs)
        counter_commands.register(self.unixctl, self.memory)

    def _exit(self, arguments: list[str]) -> str:
        for argument in arguments:
            if argument not in self.exit_options:
                raise UnixctlError(f"{argument}: {self.program} does not know this way to exit")
        self.exit_arguments = tuple(arguments)
        self.stopping.set()
        return ""

    def _rotated(self) -> None:
        """Reopen the log (SIGHUP)."""
        try:
            self.logs.reopen()
        except UsageError as error:
            log.warning("the log file is not reopened: %s", error)


def tell_service_manager(state: str) -> None:
    """Send this process's state to the service manager, if there is one (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        try:
            sender.sendto(state.encode(), f"\0{address[1:]}" if address.startswith("@") else address)
        except OSError as error:
            log.warning("NOTIFY_SOCKET=%s: %s", address, error)


def drop_stdio() -> None:
    """Redirect the standard streams to /dev/null."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.close(null)


def until_ready(program: str, child: int, *, reader: int) -> int:
    """Wait until the daemon in the background is ready, or has ended before (`--detach`).

    Arguments:
        program: what the daemon is called.
        child: its process.
        reader: the pipe on which it reports that it is ready; closed when it ends.

    Returns:
        The exit status of the command: 0 if the daemon is ready.
    """
    if os.read(reader, 1):
        return 0
    outcome = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if outcome <= 0:  # otherwise it has said why
        why = f", killed by {signal.Signals(-outcome).name}" if outcome else ""
        sys.stderr.write(f"{program}: the daemon ended before it was ready{why}\n")
    return max(outcome, 1)


def fork() -> int:
    """Fork; the parent, which waits for the child, passes SIGTERM and SIGINT on to it from the start.

    Returns:
        In the parent, the child; in the child, 0.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
    try:
        child = os.fork()
        if child:
            _pass_on(child)
        else:
            for number in ENDS:
                signal.signal(number, signal.SIG_DFL)
        return child
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDS)


def _pass_on(child: int) -> None:

    def tell(number: int, _frame: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)

    for number in ENDS:
        signal.signal(number, tell)


ENDS = (signal.SIGTERM, signal.SIGINT)
"""Signals that tell a process to end."""

RESTARTS = 10.0
"""Minimum seconds between two restarts of a daemon that crashes, as in Open vSwitch."""


def watch_child(*, detached: bool) -> int | None:
    """Fork, and restart the child whenever a programming error kills it (`--monitor`, ovs-vswitchd(8)).

    Arguments:
        detached: whether the parent closes its standard streams.

    Returns:
        None in the child, which does the work; in the parent, the exit status of a child that has ended otherwise.
    """
    restarted = -RESTARTS
    while True:
        child = fork()
        if not child:
            return None
        if detached:
            drop_stdio()
        outcome = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if outcome >= 0:
            return outcome
        death = f"process {child} died, killed by {signal.Signals(-outcome).name}"
        if -outcome not in CRASHES:
            log.warning("%s: exiting", death)
            return 128 - outcome
        for number in ENDS:
            signal.signal(number, lambda *_: sys.exit(0))
        if (pause := restarted + RESTARTS - time.monotonic()) > 0:
            log.error("%s: waiting until %g s since the last restart", death, RESTARTS)
            time.sleep(pause)
        log.error("%s: restarting", death)
        restarted = time.monotonic()


CRASHES = frozenset(
    (
        signal.SIGABRT,
        signal.SIGALRM,
        signal.SIGBUS,
        signal.SIGFPE,
        signal.SIGILL,
        signal.SIGPIPE,
        signal.SIGSEGV,
        signal.SIGXCPU,
        signal.SIGXFSZ,
    )
)
"""Signals that mean a programming error (ovs-vswitchd(8), `--monitor`)."""


def become(user: str) -> None:
    """Become another user and group, given as `user:group`, `user` or `:group` (`--user`).

    Raises:
        UsageError: the user or group is unknown, or this process is not permitted to.
    """
    name, _, group = user.partition(":")
    try:
        if group or name:
            gid = grp.getgrnam(group).gr_gid if group else pwd.getpwnam(name).pw_gid
            os.setgroups([gid])
            os.setgid(gid)
        if name:
            os.setuid(pwd.getpwnam(name).pw_uid)
    except (KeyError, PermissionError) as e:
        raise UsageError(f"--user={user}: {e}") from e


async def until_stopped(daemon: Daemon, *tasks: Awaitable[None]) -> None:
    """Run `tasks` until the daemon is told to stop or one of them ends; an exception of theirs is raised."""
    running = [asyncio.ensure_future(t) for t in tasks]
    stop = asyncio.ensure_future(daemon.stopping.wait())
    done, _ = await asyncio.wait([*running, stop], return_when=asyncio.FIRST_COMPLETED)
    for task in (*running, stop):
        task.cancel()
    for task in (*running, stop):
        with contextlib.suppress(asyncio.CancelledError):
            if task not in done:
                await task
    for task in done:
        if task is not stop:
            task.result()
