"""docs/reference/keys.md and the source name the same keys of map columns; so do the manual pages that define them."""

from __future__ import annotations

import ast
import importlib
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from ovenbird.controller.local.settings import read_settings
from ovenbird.metadata.rows import OpenVSwitch
from ovenbird.metadata.switch import ChassisSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

from support import ROOT

SOURCE = ROOT / "src" / "ovenbird"
PAGE = (ROOT / "docs" / "reference" / "keys.md").read_text()
FEATURES = (ROOT / "docs" / "reference" / "features.md").read_text()

MAPS = ("external_ids", "other_config", "options", "ids", "config")
"""How map columns are called in the source, as attributes and as variables."""
READERS = ("flag", "number", "setting", "global_flag", "chassis_setting", "option", "_seconds")
"""Functions that are given the name of a key."""
ELSEWHERE = ("cli", "cloud", "lab", "lang", "net", "openflow", "verify", "packaging")
"""Folders that read none that configures a daemon: Cloud's compiler its own rows alone, `verify` what others wrote."""


class Asked(dict):
    """A map that knows which of its keys were asked for."""

    def __init__(self, value=()) -> None:
        super().__init__(value)
        self.names = set()

    def get(self, key, default=None):
        self.names.add(key)
        return super().get(key, default)


def rows(heading: str, page: str = PAGE) -> list[list[str]]:
    """Return the cells of the rows below a heading, the key first."""
    _, _, section = page.partition(f"## {heading}")
    assert section, heading
    lines = section.partition("\n## ")[0].splitlines()
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines if line.startswith("| `")]


def keys(heading: str, reader: str = "") -> set[str]:
    """Return the keys below a heading, of one reader."""
    return {row[0].strip("`") for row in rows(heading) if reader in row[1]}


def documented() -> set[str]:
    """Return every key of this page, and of the one about Northbound's."""
    own = {key for heading in re.findall("^## (.*)$", PAGE, re.MULTILINE) for key in keys(heading)}
    return own | set(re.findall(r"^\| `\w+:([^`]+)`", FEATURES, re.MULTILINE))


SWITCH = "Open_vSwitch, table Open_vSwitch, column external_ids"


def test_keys_of_a_host_are_those_that_are_read():
    ids = Asked()
    read_settings(ids, "hv1")
    asked = {name.removesuffix("-hv1") for name in ids.names} | {"system-id"}
    assert asked == keys(SWITCH, "controller")
    ids = Asked({"system-id": "hv1"})
    row = type("Row", (), {"external_ids": ids})
    ChassisSettings.read(type("Switch", (), {"table": lambda _, kind: [row] if kind is OpenVSwitch else []})())
    assert {name.removesuffix("-hv1") for name in ids.names} == keys(SWITCH, "metadata")


def test_documented_defaults_are_those_of_the_code():
    shown = {row[0].strip("`"): re.search(r"\(`([^`]*)`\)$", row[2]) for row in rows(SWITCH)}
    defaults = {key: match[1] for key, match in shown.items() if match is not None}
    assert len(defaults) >= 10
    usual = read_settings({"system-id": "hv1"})
    for key, value in defaults.items():
        assert read_settings({"system-id": "hv1", key: value}) == usual, key


def read_keys(path: Path) -> Iterator[str]:
    """Yield the keys of map columns that a module asks for by name."""
    module = importlib.import_module("ovenbird." + ".".join(path.relative_to(SOURCE).with_suffix("").parts))

    def named(node: ast.expr) -> Iterator[str]:
        value = node.value if isinstance(node, ast.Constant) else getattr(module, getattr(node, "id", ""), None)
        if isinstance(value, str) and re.fullmatch(r"[\w:-]+", value):  # what options of commands do is said in words
            yield value

    def is_map(node: ast.expr) -> bool:
        return getattr(node, "attr", getattr(node, "id", "")) in MAPS

    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(ast.Attribute(value, "get" | "pop"), [key, *_]) if is_map(value):
                yield from named(key)
            case ast.Call(ast.Name(function) | ast.Attribute(_, function), [*arguments]) if function in READERS:
                yield from [name for argument in arguments for name in named(argument)][:1]
            case ast.Subscript(value, key, ast.Load()) if is_map(value):
                yield from named(key)
            case ast.Compare(key, [ast.In() | ast.NotIn()], [value]) if is_map(value):
                yield from named(key)


def modules() -> Iterator[Path]:
    for path in SOURCE.rglob("*.py"):
        folder = path.relative_to(SOURCE).parent.as_posix()
        if path.stem != "__init__" and folder.partition("/")[0] not in ELSEWHERE:
            yield path


def test_no_key_is_read_that_stands_on_no_page():
    known = documented()
    unknown, found = {}, set()
    for path in modules():
        read = set(read_keys(path))
        found |= read
        if lacking := read - known:
            unknown[path.relative_to(SOURCE).as_posix()] = lacking
    assert {"iface-id", "is-remote", "northd_internal_version", "default_acl_drop", "neutron:device_id"} <= found
    assert unknown == {}


def test_no_key_has_two_rows_of_one_reader():
    for heading in re.findall("^## (.*)$", PAGE, re.MULTILINE):
        shown = [(key, reader) for key, reader, *_ in rows(heading)]
        assert len(shown) == len(set(shown)), heading


def test_every_documented_key_is_in_the_source():
    text = "\n".join(path.read_text() for path in SOURCE.rglob("*.py"))
    words = set(re.findall(r"[\w:-]+", text))
    for heading in re.findall("^## (.*)$", PAGE, re.MULTILINE):
        for key, reader, *_ in rows(heading):
            name = key.strip("`")
            composed = re.fullmatch(r"(ipv6_ra_|l[23]gateway-|neutron:ovn-(?:metadata|neutron-agent)-).*", name)
            assert (name in words or composed) or reader == "none", name


def manual(page: str) -> str:
    done = subprocess.run(
        ["man", page], capture_output=True, text=True, check=False, env={"PATH": "/bin:/usr/bin", "MANWIDTH": "999"}
    )
    return re.sub(r".\x08|\x1b\[[0-9;]*m", "", done.stdout)


@pytest.mark.skipif(shutil.which("man") is None, reason="needs man")
def test_every_key_of_the_manuals_is_here():
    controller, northbound, southbound = manual("ovn-controller"), manual("ovn-nb"), manual("ovn-sb")
    if not (controller and northbound and southbound):
        pytest.skip("needs the manual pages of OVN")
    theirs = set(re.findall(r"external[_-]ids:((?!option)[a-z][a-z0-9_-]*)", controller)) - {"ovn-encap-ip-otherhv"}
    assert len(theirs) > 25
    known = keys(SWITCH) | keys(
        "Open_vSwitch, tables Bridge, Port, Interface, QoS, Queue and Mirror, column external_ids"
    )
    written = {"ovn-nb-cfg-ts", "ovn-installed-ts", "iface-types"}
    assert {key for key in theirs - known - written if not any(each.startswith(key) for each in known)} == set()
    for text, table, heading in (
        (northbound, "NB_Global", "OVN_Northbound, table NB_Global"),
        (southbound, "SB_Global", "OVN_Southbound, table SB_Global"),
    ):
        _, _, section = text.partition(f"{table} TABLE")
        options = set(re.findall(r"^ +options : ([\w-]+)", section.partition(" TABLE\n")[0], re.MULTILINE))
        assert len(options) > 5
        assert options <= keys(heading) | keys("OVN_Northbound, table NB_Global"), table
