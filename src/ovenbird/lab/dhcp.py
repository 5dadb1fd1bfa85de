"""DHCP in an instance: the distribution's client, with a hook script of this module that configures the interface.

The hook is written when the instance is made. It understands the variables of busybox's udhcpc (its default.script) and
of ISC dhclient (dhclient-script(8)), applies address, routes (option 121 before option 3, RFC 3442) and MTU, and writes
the lease where the lab reads it.
"""

from pathlib import Path

from ovenbird.dataclass import KW_ONLY, dataclass
from ovenbird.lab.errors import RequirementError
from ovenbird.lab.requirements import DHCP_CLIENTS, dhcp_client

_HOOK = """\
#!/bin/sh
# Configure one interface as a DHCP server says. udhcpc passes what happened as $1, dhclient in $reason.
lease='{lease}'
case "${{1:-$reason}}" in
deconfig|PREINIT)
    ip link set "$interface" up
    exit 0 ;;
bound|renew|BOUND|RENEW|REBIND|REBOOT) ;;
EXPIRE|STOP|RELEASE)
    ip -4 address flush dev "$interface" scope global
    rm -f "$lease"
    exit 0 ;;
*) exit 0 ;;
esac
if [ -n "$new_ip_address" ]; then  # dhclient; its classless routes are all in decimal numbers: "24 10 1 2 10 0 0 1"
    ip=$new_ip_address mask=$new_subnet_mask mtu=$new_interface_mtu router=$new_routers dns=$new_domain_name_servers
    set -- $new_rfc3442_classless_static_routes
    while [ $# -ge 5 ]; do
        length=$1 octets=$(( ($1 + 7) / 8 )) network= ; shift
        for octet in 1 2 3 4; do
            if [ $octet -le $octets ]; then network=$network.$1; shift; else network=$network.0; fi
        done
        staticroutes="$staticroutes ${{network#.}}/$length $1.$2.$3.$4"; shift 4
    done
fi
address="$ip/${{mask:-$subnet}}"
[ -z "$mtu" ] || ip link set "$interface" mtu "$mtu"
if ! grep -qsx "address=$address" "$lease"; then
    ip -4 address flush dev "$interface" scope global
    ip address add "$address" broadcast + dev "$interface"
fi
if [ -n "$staticroutes" ]; then
    set -- $staticroutes
    while [ $# -ge 2 ]; do
        if [ "$2" = 0.0.0.0 ]; then ip route replace "$1" dev "$interface"
        else ip route replace "$1" via "$2" dev "$interface" onlink; fi
        shift 2
    done
elif [ -n "$router" ]; then
    ip route replace default via "${{router%% *}}" dev "$interface" onlink
fi
printf 'address=%s\\nrouter=%s\\ndns=%s\\nroutes=%s\\nmtu=%s\\n' \\
    "$address" "$router" "$dns" "$staticroutes" "$mtu" > "$lease.new"
mv "$lease.new" "$lease"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The DHCP lease of an instance.

    Arguments:
        address: the IPv4 address.
        router: the default gateway, empty for none.
        dns: the name servers.
        routes: classless static routes, destination and next hop in turn.
        mtu: bytes, 0 without the option.
    """

    address: str
    router: str
    dns: tuple[str, ...]
    routes: tuple[str, ...]
    mtu: int


@dataclass(frozen=True, slots=True)
class DhcpClient:
    """The DHCP client of one instance.

    Arguments:
        directory: the instance's directory, where the hook and the lease are.
        interface: the instance's interface.
        hostname: the host name that it sends.
        program: "udhcpc" or "dhclient".
    """

    directory: Path
    _: KW_ONLY
    interface: str
    hostname: str
    program: str

    @classmethod
    def choose(cls, directory: Path, *, interface: str, hostname: str) -> "DhcpClient":
        """Return a client of a kind that is installed.

        Arguments:
            directory: of its files.
            interface: its interface.
            hostname: the host name that it sends.

        Raises:
            RequirementError: none is installed.
        """
        program = dhcp_client()
        if program is None:
            raise RequirementError(f"no DHCP client: apt-get install {DHCP_CLIENTS['udhcpc']}")
        return cls(directory, interface=interface, hostname=hostname, program=program)

    @property
    def hook(self) -> Path:
        """The script that the client runs."""
        return self.directory / "dhcp-hook"

    @property
    def argv(self) -> tuple[str, ...]:
        """The client's command line: in the foreground, with requests every second until there is a lease."""
        if self.program == "udhcpc":
            options = ("-f", "-t", "5", "-T", "1", "-A", "1", "-O", "mtu", "-O", "staticroutes")
            name = ("-x", f"hostname:{self.hostname}")
            return ("udhcpc", *options, *name, "-s", str(self.hook), "-i", self.interface)
        configuration = self.directory / "dhclient.conf"
        files = ("-cf", str(configuration), "-lf", str(self.directory / "dhclient.leases"))
        pid = ("-pf", str(self.directory / "dhclient.pid"))
        return ("dhclient", "-d", "-4", *files, *pid, "-sf", str(self.hook), self.interface)

    def prepare(self) -> None:
        """Write the files that the client needs."""
        self.hook.write_text(_HOOK.format(lease=self.directory / "lease"))
        self.hook.chmod(0o755)
        if self.program == "dhclient":
            (self.directory / "dhclient.conf").write_text(
                "option rfc3442-classless-static-routes code 121 = array of unsigned integer 8;\n"
                "request subnet-mask, routers, domain-name-servers, interface-mtu, rfc3442-classless-static-routes;\n"
                f'send host-name "{self.hostname}";\n'
                "timeout 30; retry 1; initial-interval 1; backoff-cutoff 2;\n"
            )

    def lease(self) -> Lease | None:
        """Return the lease the client has now, None for none."""
        try:
            text = (self.directory / "lease").read_text()
        except FileNotFoundError:
            return None
        values = dict(line.split("=", 1) for line in text.splitlines())
        return Lease(
            address=values["address"].split("/")[0],
            router=values["router"],
            dns=tuple(values["dns"].split()),
            routes=tuple(values["routes"].split()),
            mtu=int(values["mtu"] or 0),
        )
