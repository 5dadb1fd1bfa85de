"""docs/reference/settings.md says what the table of settings does. `make docs` writes it."""

import os

from ovenbird.model.settings import SETTINGS
from support import ROOT

DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference" / "settings.md"
HEAD = """\
# Settings of the cloud

Made by `make docs` from the table that every process reads. `ovenbird settings list` shows the values of a cloud;
[running a cloud](../cloud.md#settings) says how they are changed.

True and false are also written as yes and no, on and off, 1 and 0, in any case. A domain's final dot may be left out.
"""


def text():
    rows = [
        f"| `{s.name}` | {f'`{s.default_text}`' if s.default_text else 'empty'} | {s.kind.allowed} | {s.meaning} "
        f"| {s.effect} |"
        for s in SETTINGS.values()
    ]
    head = ["| name | default | is | meaning | a change takes effect |", "| --- | --- | --- | --- | --- |"]
    return "\n".join([HEAD, *head, *rows, ""])


def test_the_reference_of_settings_is_up_to_date():
    if os.environ.get("OVENBIRD_UPDATE_GOLDEN"):
        REFERENCE.write_text(text())
    assert REFERENCE.read_text() == text(), "run `make docs`"
