"""Policies: rules in oslo.policy's language, partially evaluated once for each caller.

A rule is parsed by oslo.policy and then *partially evaluated* for a caller: every part that depends on the caller only
becomes true or false. The remaining residual reads some fields of the target, often none. For an administrator's list
of ports no rule is evaluated; for a member's, each residual is evaluated once for each combination of the fields that
it reads (the project, whether a network is shared), not once for each port.

Resources declare the default rules. A file (YAML or JSON, as for oslo.policy) overrides some of them, and is read again
when it changes. An invalid file is an error at start; later it is logged, and the previous rules stay in force.

Importing oslo.policy takes a tenth of a second, which a service without authentication does not need: this module is
imported when it is first used.
"""

from __future__ import annotations

import logging
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from oslo_policy import policy as oslo

from ovenbird.api.access.sharing import POLICIES_ABOUT
from ovenbird.api.access.visibility import Visibility
from ovenbird.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from ovenbird.api.access.auth import Caller
    from ovenbird.api.resource import Resource

log = logging.getLogger(__name__)

MOST_CALLERS = 1_000
"""How many callers' partially evaluated rules are cached."""
MOST_OUTCOMES = 10_000
"""How many results of one residual are cached."""

_PLACES = re.compile(r"%\(([^)]*)\)")


class PolicyError(Exception):
    """A policy file cannot be used."""


class FieldCheck(oslo.Check):
    """Neutron's check ``field:RESOURCE:FIELD=VALUE`` or ``=~PATTERN``: it compares a field of the target.

    Raises:
        PolicyError: the check has another form.
    """

    def __init__(self, kind: str, match: str) -> None:
        super().__init__(kind, match)
        field, equals, value = match.partition(":")[2].rpartition("=")
        if not equals:
            raise PolicyError(f"{kind}:{match}: field:RESOURCE:FIELD=VALUE is needed")
        self.field = field
        self.value = value
        self.pattern = re.compile(value[1:]) if value.startswith("~") else None

    def __call__(self, target: Mapping[str, Any], creds: Any, enforcer: Any, current_rule: str | None = None) -> bool:
        """Return whether the field matches.

        Arguments:
            target: the fields of the resource.
            creds: not used, as the following ones: oslo.policy passes them to every check.
            enforcer: likewise.
            current_rule: likewise.
        """
        del creds, enforcer, current_rule
        value = target.get(self.field)
        if value is None:
            return False
        if self.pattern is not None:
            return self.pattern.match(str(value)) is not None
        if isinstance(value, bool):
            return (self.value.lower() in ("true", "1")) is value
        return str(value) == self.value


oslo.register("field", FieldCheck)


@dataclass(frozen=True, slots=True)
class Residual:
    """The rest of a rule after evaluation for one caller.

    Arguments:
        fields: the fields of the target that it reads.
        test: returns whether a target with these fields satisfies the rule.
    """

    fields: frozenset[str]
    test: Callable[[Mapping[str, Any]], bool]


PartiallyEvaluated = bool | Residual


class Access:
    """What one caller may do, by the present rules.

    Arguments:
        rules: parsed, by name.
        caller: who.
    """

    def __init__(self, rules: Mapping[str, Any], caller: Caller) -> None:
        self._rules = rules
        self._creds = credentials(caller)
        self._evaluated: dict[str, PartiallyEvaluated] = {}
        self._outcomes: dict[tuple[str, tuple[Any, ...]], bool] = {}
        self._visibility: dict[str, Visibility | None] = {}
        self.admin = self.rule("context_is_admin") is True
        self.caller = replace(caller, admin=self.admin)

    def knows(self, name: str) -> bool:
        """Return whether there is a rule of this name."""
        return name in self._rules

    def rule(self, name: str) -> PartiallyEvaluated:
        """Return a rule, partially evaluated for the caller; a missing rule is ``default``, or refuses."""
        found = self._evaluated.get(name)
        if found is None:
            check = self._rules.get(name, self._rules.get("default"))
            found = self._evaluated[name] = False if check is None else self._partially_evaluate(check)
        return found

    def allows(self, name: str, fact: Callable[[str], Any]) -> bool:
        """Return whether a rule allows the caller an operation.

        Arguments:
            name: the rule.
            fact: returns a field of the target; raises KeyError for a field that it does not have.
        """
        settled = self.rule(name)
        if isinstance(settled, bool):
            return settled
        target = facts(settled.fields, fact)
        try:
            key = name, tuple(target.items())
            outcome = self._outcomes.get(key)
        except TypeError:  # a list or an object, which a rule of the policy file may ask for
            return settled.test(target)
        if outcome is None:
            if len(self._outcomes) >= MOST_OUTCOMES:
                self._outcomes.clear()
            outcome = self._outcomes[key] = settled.test(target)
        return outcome

    def visibility(self, resource: Resource[Any]) -> Visibility | None:
        """Return the caller's view of a resource; None if the caller sees everything as it is rendered."""
        member = resource.policy_name
        if member in self._visibility:
            return self._visibility[member]
        prefix = f"get_{member}:"
        parts = {
            name.removeprefix(prefix): settled
            for name in self._rules
            if name.startswith(prefix) and (settled := self.rule(name)) is not True
        }
        parts.pop("id", None)  # pages and links need it, and without it there is nothing to know about
        whole = self.rule(f"get_{member}")
        same = whole is True and not parts and resource.row_class not in POLICIES_ABOUT
        found = None if same else Visibility(resource, self.caller.project, whole, parts)
        self._visibility[member] = found
        return found

    # -- settling -----------------------------------------------------------------------------------------------------

    def _partially_evaluate(self, check: Any) -> PartiallyEvaluated:
        if isinstance(check, oslo.RuleCheck):
            # unlike a request's own rule, one that others name has to be there
            return self.rule(check.match) if check.match in self._rules else False
        if isinstance(check, oslo.AndCheck):
            return _join([self._partially_evaluate(part) for part in check.rules], all)
        if isinstance(check, oslo.OrCheck):
            return _join([self._partially_evaluate(part) for part in check.rules], any)
        if isinstance(check, oslo.NotCheck):
            part = self._partially_evaluate(check.rule)
            if isinstance(part, bool):
                return not part
            test = part.test
            return Residual(part.fields, lambda target: not test(target))
        creds = self._creds
        reads = fields(check)
        if not reads:
            return bool(check({}, creds, None))
        return Residual(reads, lambda target: bool(check(target, creds, None)))


def _join(parts: Sequence[PartiallyEvaluated], together: Callable[[Any], bool]) -> PartiallyEvaluated:
    """Return ``all`` or ``any`` of some parts; parts that are fully evaluated decide it or are dropped."""
    decisive = together is any
    if any(part is decisive for part in parts):
        return decisive
    left = [part for part in parts if isinstance(part, Residual)]
    if not left:
        return not decisive
    if len(left) == 1:
        return left[0]
    tests = [part.test for part in left]
    return Residual(
        frozenset().union(*(part.fields for part in left)), lambda target: together(test(target) for test in tests)
    )


def facts(wanted: frozenset[str], fact: Callable[[str], Any]) -> dict[str, Any]:
    """Return those of the wanted fields that a target has."""
    found = {}
    for name in sorted(wanted):
        try:
            found[name] = fact(name)
        except KeyError:
            continue
    return found


def fields(check: Any) -> frozenset[str]:
    """Return the fields of the target that one check reads."""
    if isinstance(check, FieldCheck):
        return frozenset((check.field,))
    return frozenset(_PLACES.findall(f"{getattr(check, 'kind', '')} {getattr(check, 'match', '')}"))


def credentials(caller: Caller) -> dict[str, Any]:
    """Return the credentials that rules can read, by oslo.policy's names."""
    project = caller.project or None
    return {
        "user_id": caller.user,
        "project_id": project,
        "tenant_id": project,
        "roles": sorted(caller.roles),
        "service_roles": sorted(caller.service_roles),
        "system_scope": "all" if caller.system else None,
    }


# -- files ------------------------------------------------------------------------------------------------------------


class Policy:
    """The present rules.

    Arguments:
        defaults: rule by name.
        file: the policy file, which replaces and adds rules; None for none.

    Raises:
        PolicyError: the file cannot be read, or is invalid.
    """

    def __init__(self, defaults: Mapping[str, str], file: Path | None = None) -> None:
        self.file = file
        self._defaults = defaults
        self._read_at: tuple[int, ...] = ()
        self._looked = time.monotonic()
        self._access: dict[Caller, Access] = {}
        self._rules: Mapping[str, Any] = parse(defaults, {})
        if file is not None:
            self._read(file)

    def access(self, caller: Caller) -> Access:
        """Return what a caller may do."""
        if self.file is not None and time.monotonic() - self._looked >= 1:
            self._refresh(self.file)
        found = self._access.get(caller)
        if found is None:
            if len(self._access) >= MOST_CALLERS:
                del self._access[next(iter(self._access))]
            found = self._access[caller] = Access(self._rules, caller)
        return found

    def _refresh(self, file: Path) -> None:
        self._looked = time.monotonic()
        try:
            self._read(file)
        except PolicyError:
            log.exception("the rules read last stay in force")

    def _read(self, file: Path) -> None:
        try:
            status = file.stat()
            stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
            if stamp == self._read_at:
                return
            self._read_at = stamp
            given: Any = oslo.parse_file_contents(file.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise PolicyError(f"{file}: {error}") from error
        if not isinstance(given, dict):
            raise PolicyError(f"{file}: the file is not a mapping of names to rules")
        try:
            self._rules = parse(self._defaults, given)
        except PolicyError as error:
            raise PolicyError(f"{file}: {error}") from error
        self._access.clear()


def parse(defaults: Mapping[str, str], given: Mapping[Any, Any]) -> Mapping[str, Any]:
    """Return the default rules with some replaced, parsed, by name.

    Arguments:
        defaults: rule by name.
        given: those of a policy file, as it has them.

    Raises:
        PolicyError: a rule is invalid, refers to a missing rule or to itself, or asks another server.
    """
    for name, text in given.items():
        if not isinstance(name, str) or not isinstance(text, str | list):
            raise PolicyError(f"{name}: {text!r} is not a rule")
    parsed: Mapping[str, Any] = oslo.Rules.from_dict({**defaults, **given})
    for name, check in parsed.items():
        if str(check) == "!" and str(given.get(name, "!")).strip() != "!":
            raise PolicyError(f"{name}: {given[name]!r} is not a rule")
        _examine(name, check, parsed, ())
    return parsed


def _examine(name: str, check: Any, rules: Mapping[str, Any], above: tuple[str, ...]) -> None:
    """Check that the rules that a rule refers to exist, without a cycle."""
    if isinstance(check, oslo.RuleCheck):
        if check.match not in rules:
            raise PolicyError(f"{name}: there is no rule {check.match}")
        if check.match in (name, *above):
            raise PolicyError(f"{name}: the rule refers to itself")
        _examine(name, rules[check.match], rules, (*above, check.match))
    elif isinstance(check, oslo.AndCheck | oslo.OrCheck):
        for part in check.rules:
            _examine(name, part, rules, above)
    elif isinstance(check, oslo.NotCheck):
        _examine(name, check.rule, rules, above)
    elif getattr(check, "kind", "") in ("http", "https"):
        raise PolicyError(f"{name}: rules that query another server are not supported")
