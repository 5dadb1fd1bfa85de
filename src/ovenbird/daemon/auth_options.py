"""The options of authentication and policy, for the daemons that serve the API.

Passwords are read from files and never from arguments, which every user of the machine can read.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ovenbird.api.access.auth import Open
from ovenbird.api.http.catalogue import RULES
from ovenbird.api.http.load_balancing import BALANCING_RULES
from ovenbird.daemon.errors import UsageError
from ovenbird.daemon.options import value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.api.access.auth import Authenticator
    from ovenbird.api.access.policy import Policy
    from ovenbird.daemon.options import Option, Options

OPTIONS: Mapping[str, Option] = {
    "auth": value(
        "HOW",
        text="none: every caller may do everything (default), and the API listens on a loopback address only; "
        "basic:FILE: HTTP Basic, with users and bcrypt hashes as `htpasswd -B FILE USER` writes them; a user's project "
        "has the user's name; keystone:FILE: tokens of Keystone; FILE has a section [keystone_authtoken] as in "
        "neutron.conf, with auth_url, username, password, project_name, ...",
    ),
    "admin": value("USER", text="with basic: an administrator (admin)", repeats=True),
    "policy-file": value(
        "FILE",
        text="policy rules that override Neutron's defaults (YAML, as for oslo.policy); read again when it changes",
    ),
}


def authenticator(options: Options) -> Authenticator:
    """Return the authenticator of `--auth`.

    Raises:
        UsageError: it is invalid.
    """
    how = options.last("auth") if options.has("auth") else "none"
    kind, _, name = (how or "").partition(":")
    if kind == "none" and not name:
        return Open()
    if kind == "basic" and name:
        from ovenbird.api.access.basic import Basic, BasicError  # noqa: PLC0415 (a service without passwords needs no bcrypt)

        try:
            return Basic(Path(name), options.all("admin") or ("admin",))
        except BasicError as error:
            raise UsageError(str(error)) from error
    if kind == "keystone" and name:
        from ovenbird.api.access.keystone import Keystone, KeystoneError, account  # noqa: PLC0415 (nor an HTTP client)

        try:
            return Keystone(account(Path(name)))
        except KeystoneError as error:
            raise UsageError(str(error)) from error
    raise UsageError(f"--auth={how}: none, basic:FILE or keystone:FILE is needed")


def policy(options: Options, who: Authenticator) -> Policy | None:
    """Return the policy; None without authentication.

    Raises:
        UsageError: the policy file is invalid, or there is no authentication.
    """
    name = options.last("policy-file")
    if not who.restricted:
        if name is not None:
            raise UsageError(
                "--policy-file needs --auth=basic or --auth=keystone: without them callers are not authenticated"
            )
        return None
    from ovenbird.api.access.policy import Policy, PolicyError  # noqa: PLC0415 (oslo.policy takes a tenth of a second)

    try:
        return Policy(RULES | BALANCING_RULES, Path(name) if name is not None else None)
    except PolicyError as error:
        raise UsageError(str(error)) from error
