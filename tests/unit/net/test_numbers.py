import pytest

from ovenbird.net.numbers import is_decimal


@pytest.mark.parametrize("text", ["0", "007", "9223372036854775807"])
def test_decimal_digits(text):
    assert is_decimal(text)


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", " 1", "1\n", "1_0", "0x1", "1.0", "\u0665", "\u00b2", "9" * 20, "9" * 5000]
)
def test_anything_else(text):
    assert not is_decimal(text)
