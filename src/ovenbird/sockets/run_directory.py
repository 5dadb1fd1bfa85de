"""The run directories of Open vSwitch and OVN, in which relative paths of sockets and pid files are."""

from __future__ import annotations

import os
from pathlib import Path


def run_directory(kind: str) -> str:
    """Return the directory for sockets and pid files, as `OVS_RUNDIR` or `OVN_RUNDIR` says.

    Arguments:
        kind: `"ovs"` or `"ovn"`.
    """
    default = {"ovs": "/var/run/openvswitch", "ovn": "/var/run/ovn"}[kind]
    return os.environ.get(f"{kind.upper()}_RUNDIR") or default


def socket_path(path: str) -> str:
    """Return where a unix socket is.

    As in Open vSwitch's library, a relative one begins in `OVS_RUNDIR`, for OVN's programs too.
    """
    return str(Path(run_directory("ovs"), path))
