"""docs/reference/features.md says what the code does. `make docs` writes it."""

import os

from support import ROOT
from support.reference.features import PAGES, Survey

REFERENCE = ROOT / "docs" / "reference" / "features.md"


def test_the_reference_is_up_to_date(servers):
    survey = Survey()
    for page in PAGES:
        survey.page(servers, page)
    text = survey.text()
    if os.environ.get("OVENBIRD_UPDATE_GOLDEN"):
        REFERENCE.parent.mkdir(exist_ok=True)
        REFERENCE.write_text(text)
    assert REFERENCE.read_text() == text, "run `make docs`"


def test_every_column_is_used_or_has_a_reason():
    """Of a column that a schema adds, `support.reference.features` has to say what it is for."""
    assert "not yet" not in REFERENCE.read_text().lower()
