"""What `systemctl` does in `test_deploy.py`, where no systemd runs: starts and stops what unit files say.

usage: systemctl.py PLACE COMMAND [--now] [UNIT]...
PLACE has folders `units`, where unit files are, `pids` and `log`.

Of a unit it obeys Type=notify, ExecStart, EnvironmentFile, RuntimeDirectory and CapabilityBoundingSet; `systemd-analyze
verify` says of the rest whether it is in order (`tests/unit/test_packaging.py`).
"""

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path


def settings(place, unit):
    """Return what a unit's file says, by name; the last one counts."""
    stem, at, instance = unit.partition("@")
    text = (place / "units" / f"{stem}{at}.service").read_text().replace("\\\n", " ").replace("%i", instance)
    lines = [line for line in text.splitlines() if "=" in line and not line.startswith("#")]
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def environment(said):
    """Return the variables of a unit's file of variables; it may be missing if `-` is before its name."""
    path = said.get("EnvironmentFile", "-")
    file = Path(path.removeprefix("-"))
    if path.startswith("-") and not file.is_file():
        return {}
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def start(place, unit):
    if (place / "pids" / unit).exists():
        return
    said = settings(place, unit)
    variables = environment(said)
    argv = []
    for word in shlex.split(said["ExecStart"]):
        argv += variables.get(word[1:], "").split() if word.startswith("$") else [word]
    if directory := said.get("RuntimeDirectory"):
        Path("/run", directory).mkdir(exist_ok=True)
    if (allowed := said.get("CapabilityBoundingSet")) is not None:
        names = ",".join(f"+{name.removeprefix('CAP_').lower()}" for name in allowed.split())
        argv = ["setpriv", "--bounding-set", f"-all{',' if names else ''}{names}", *argv]
    with (place / "log" / unit).open("a") as log, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(place / "notify"))
        told.settimeout(0.1)
        asked = {**os.environ, "NOTIFY_SOCKET": str(place / "notify")}
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=asked
        )
        (place / "pids" / unit).write_text(str(process.pid))
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if told.recv(100) == b"READY=1":
                    break
            except TimeoutError:
                continue
        else:
            (place / "notify").unlink()
            sys.exit(f"{unit} does not start")
    (place / "notify").unlink()


def running(pid):
    """Return whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def stop(place, unit):
    file = place / "pids" / unit
    if not file.exists():
        return
    pid = int(file.read_text())
    file.unlink()
    if not running(pid):
        return
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 30
    while running(pid):
        if time.monotonic() > deadline:
            sys.exit(f"{unit} does not end")
        time.sleep(0.02)


def main(place, command, *words):
    units = [word for word in words if not word.startswith("--")]
    if command in ("stop", "restart") or (command == "disable" and "--now" in words):
        for unit in units:
            stop(place, unit)
    if command in ("start", "restart") or (command == "enable" and "--now" in words):
        for unit in units:
            start(place, unit)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
