"""The run directories of Open vSwitch and OVN, to which the paths of sockets and pid files are relative."""

from __future__ import annotations

import os
from pathlib import Path


def run_directory(kind: str) -> str:
    """Return the directory for sockets and pid files, from `OVS_RUNDIR` or `OVN_RUNDIR` if set.

    Arguments:
        kind: `"ovs"` or `"ovn"`.
    """
    default = {"ovs": "/var/run/openvswitch", "ovn": "/var/run/ovn"}[kind]
    return os.environ.get(f"{kind.upper()}_RUNDIR") or default


def socket_path(path: str) -> str:
    """Return the full path of a unix socket.

    As in Open vSwitch's library, a relative path is relative to `OVS_RUNDIR`, for OVN's programs too.
    """
    return str(Path(run_directory("ovs"), path))
