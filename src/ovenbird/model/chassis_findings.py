"""The findings of a chassis, as its controller writes them to Chassis_Private and the API reads them.

`external_ids:ovenbird-findings` is a list of texts in JSON. The controller keeps to the bounds below when it writes.
Southbound's role lets a chassis write any text into its own row, so a reader applies the same bounds: one chassis
cannot make the list of all findings fail or grow.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY = "ovenbird-findings"
"""The key of `external_ids` in Chassis_Private."""

MOST_TEXTS = 20
"""The largest number of findings of a chassis; one more text may give the number of omitted ones."""

LONGEST_TEXT = 500
"""The largest number of characters of a finding."""

_LONGEST = 12 * (LONGEST_TEXT + 8) * (MOST_TEXTS + 1)
"""Characters of a list within the bounds, even if all of its characters are written as pairs of JSON's escapes."""


def encode(texts: Sequence[str]) -> str:
    """Return the value for texts, truncated to the bounds; the empty string for none."""
    told = [text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…" for text in texts[:MOST_TEXTS]]
    if len(texts) > MOST_TEXTS:
        told.append(f"{len(texts) - MOST_TEXTS} more: this controller's findings/list has all")
    return json.dumps(told, ensure_ascii=False) if told else ""


def decode(value: str) -> list[str]:
    """Return the texts of an untrusted value, each once and within the bounds.

    A value that is not a JSON list, or is too long, has no texts; elements that are not strings are skipped, and lone
    surrogates are replaced.
    """
    if len(value) > _LONGEST:
        return []
    try:
        told = json.loads(value)
    except (ValueError, RecursionError):
        return []
    if not isinstance(told, list):
        return []
    texts = (text[:LONGEST_TEXT].encode(errors="replace").decode() for text in told if isinstance(text, str))
    return list(dict.fromkeys(texts))[: MOST_TEXTS + 1]
