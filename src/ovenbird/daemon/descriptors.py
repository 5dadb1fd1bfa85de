"""The limit on open file descriptors: raised to what the system allows, up to `ENOUGH`.

Shells and systemd give processes 1,024 descriptors and let them raise that limit (setrlimit(2)); daemons that serve
every hypervisor of a cloud need more.
"""

from __future__ import annotations

import resource

ENOUGH = 65_536
"""The highest limit of descriptors to set; each connection needs one."""


def raise_limit() -> int:
    """Raise the process's limit of open descriptors, and return the new limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted
