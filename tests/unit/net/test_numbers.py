import pytest

from ovenbird.net.numbers import INT64, integer


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("-0", 0), ("007", 7), ("+1", 1), ("9223372036854775807", INT64), ("0" * 5000 + "7", 7)],
)
def test_decimal_digits(text, number):
    assert integer(text) == number


@pytest.mark.parametrize(
    "text",
    ["", "-", "- 1", " 1", "1 ", "1\n", "1\0", "1_0", "0x1", "1.0", "1e3", "\u0665", "\u00b2", "9" * 20, "9" * 5000],
)
def test_other_texts_are_not_integers(text):
    assert integer(text) is None


def test_a_number_is_in_its_range():
    assert [integer(text, -1, 3) for text in ("-2", "-1", "3", "4")] == [None, -1, 3, None]
    assert integer("9223372036854775808") is None
    assert integer("-1") is None
