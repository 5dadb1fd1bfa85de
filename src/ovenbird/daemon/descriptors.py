"""How many descriptors a daemon may have: as many as the system lets it, within reason.

Shells and systemd give processes 1,024 of them and let them ask for more (setrlimit(2)), which is what daemons that
serve every hypervisor of a cloud have to do.
"""

from __future__ import annotations

import resource

ENOUGH = 65_536
"""Descriptors beyond which nothing is asked for: a connection costs one."""


def raise_limit() -> int:
    """Raise the process's limit of open descriptors, and return what it then is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted
