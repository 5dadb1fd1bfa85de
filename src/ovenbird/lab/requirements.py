"""What a machine must have to run a lab: root's privileges and a few programs, each with its Debian package."""

import os
import shutil

from ovenbird.lab.errors import RequirementError

PACKAGES = {
    "curl": "curl",
    "ip": "iproute2",
    "ethtool": "ethtool",
    "ping": "iputils-ping",
    "ovsdb-client": "openvswitch-switch",
    "ovsdb-server": "openvswitch-switch",
    "ovsdb-tool": "openvswitch-switch",
    "ovs-vsctl": "openvswitch-switch",
    "ovs-vswitchd": "openvswitch-switch",
    "unshare": "util-linux",
}
"""Program to Debian package."""

DHCP_CLIENTS = {"udhcpc": "udhcpc", "dhclient": "isc-dhcp-client"}
"""DHCP clients that the lab can drive, the preferred first; each with its package."""

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where system programs live; searched after the caller's PATH, which for a user of sudo or su may lack the sbin's."""


def environment() -> dict[str, str]:
    """Return this process's variables, with the system's directories at the end of PATH."""
    path = os.environ.get("PATH")
    return {**os.environ, "PATH": f"{path}:{SYSTEM_PATH}" if path else SYSTEM_PATH}


def find_program(name: str) -> str | None:
    """Find a program on PATH or, failing that, among the system's programs."""
    return shutil.which(name) or shutil.which(name, path=SYSTEM_PATH)


def dhcp_client() -> str | None:
    """Name the DHCP client to use, None when there is none."""
    return next((name for name in DHCP_CLIENTS if find_program(name)), None)


def check() -> None:
    """Make sure that this process may build a lab here.

    Raises:
        RequirementError: in one line, everything that is missing and what to install.
    """
    if os.geteuid() != 0:
        raise RequirementError("network namespaces need root: run this as root, or with sudo")
    missing = {name: package for name, package in PACKAGES.items() if not find_program(name)}
    if dhcp_client() is None:
        missing["udhcpc"] = DHCP_CLIENTS["udhcpc"]
    if missing:
        packages = " ".join(sorted(set(missing.values())))
        raise RequirementError(f"missing {', '.join(sorted(missing))}: apt-get install {packages}")
    if not os.path.exists("/dev/net/tun"):  # noqa: PTH110 - a device node, not a path of ours
        raise RequirementError("missing /dev/net/tun, which the userspace switch needs: modprobe tun")
