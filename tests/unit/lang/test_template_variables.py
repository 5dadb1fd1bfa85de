"""Template variables in texts: where they are, what is put in, and what stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovenbird.lang.errors import LangError
from ovenbird.lang.lexer import tokenize
from ovenbird.lang.template_variables import expand

VALUES = {"vip": "10.0.0.1", "port": "80", "both": "10.0.0.1:80,10.0.0.2:80", "again": "^vip", "a.b": "x", "none": ""}


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("ip4.dst == ^vip && tcp.dst == ^port", "ip4.dst == 10.0.0.1 && tcp.dst == 80"),
        ("ct_lb_mark(backends=^both);", "ct_lb_mark(backends=10.0.0.1:80,10.0.0.2:80);"),
        ("^vip:^port", "10.0.0.1:80"), ("[^vip]:80", "[10.0.0.1]:80"), ("^again", "^vip"), ("^none;", ";"),
        ("^a.b", "x"),
        ("ip4.dst == ^unknown", "ip4.dst == unknown"), ('inport == "^vip"', 'inport == "^vip"'),
        (r'log(name="a\"^vip");', r'log(name="a\"^vip");'), ("next; /* ^vip */ ^port", "next; /* ^vip */ 80"),
        ('next; commit_lb_aff(vip = "^vip:^port", backend = "[^x]:81");',
         'next; commit_lb_aff(vip = "10.0.0.1:80", backend = "[x]:81");'),
        ('log(name="commit_lb_aff(^vip)");', 'log(name="commit_lb_aff(^vip)");'),
        ("^", "^"), ("^9", "^9"), ('"^vip', '"10.0.0.1'), ("no variable", "no variable"),
    ],
)  # fmt: skip
def test_values_are_put_in_once(text, expanded):
    assert expand(text, VALUES.get) == expanded


PIECES = st.sampled_from(['"', "\\", "^vip", "^", "/*", "*/", "//", "\n", " ", "ip4", "==", "&&", "^x", "9", "."])


@given(st.lists(PIECES, max_size=8).map("".join))
def test_variables_are_the_lexers_templates(text):
    try:
        tokens = tokenize(text)
    except LangError:
        return
    found = []
    expand(text, found.append)
    assert found == [token.name for token in tokens if token.kind == "template"]
