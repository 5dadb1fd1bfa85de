"""Caches by text remember, and forget: what they hold is bounded by characters."""

from __future__ import annotations

from ovenbird.lang import text_cache
from ovenbird.lang.actions.registry import parse_actions


def test_recently_used_texts_are_kept_and_others_dropped(monkeypatch):
    monkeypatch.setattr(text_cache, "LIMIT", 100)
    asked = []

    @text_cache.cached_by_text
    def answer(text):
        asked.append(text)

    assert answer("kept") is answer("kept") is None
    assert asked == ["kept"]
    for number in range(1000):
        answer(f"{number:010}")
        answer("kept")
    assert asked.count("kept") == 1
    answer(f"{0:010}")
    assert asked.count(f"{0:010}") == 2
    for _ in range(2):
        answer("x" * 101)
    assert asked.count("x" * 101) == 2, "what is longer than the limit would drive out everything else"


def cells(function):
    return [cell.cell_contents for cell in function.__closure__ if isinstance(cell.cell_contents, dict)]


def test_actions_of_ever_new_ports_do_not_pile_up():
    text = "reg0[3] = put_dhcp_opts(offerip = 10.0.{}.{}, lease_time = 3600, server_id = 10.0.0.1); next;"
    for number in range(6000):
        parse_actions(text.format(number >> 8, number & 255))
    remembered = sum(len(text) for half in cells(parse_actions) for text in half)
    assert 0 < remembered <= 2 * text_cache.LIMIT
