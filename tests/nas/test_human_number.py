import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.human_number import human_number, parse_number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1_800_000, "1.80 M"), (11_173_962, "11.2 M"), (557_900_000, "558 M"),
        (99_999, "99,999"), (123_456, "123 k"), (999_600, "1.00 M"),
        (4.1e9, "4.10 G"), (0.25, "0.25"), (0, "0"), (None, "–"), (math.nan, "–"),
    ],
)  # fmt: skip
def test_counts_are_written_as_people_do(value, text):
    assert human_number(value) == text


@given(st.floats(1e5, 1e14))
def test_three_digits_are_kept(value):
    number, unit = human_number(value).split()
    size = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}[unit]
    assert float(number) * size == pytest.approx(value, rel=6e-3)
    assert parse_number(human_number(value)) == pytest.approx(value, rel=6e-3)


@pytest.mark.parametrize(
    ("text", "value"),
    [("11M", 11e6), ("1.80 M", 1.8e6), ("70k", 7e4), ("1e6", 1e6), ("100,000", 1e5)],
)
def test_numbers_are_read_as_people_write_them(text, value):
    assert parse_number(text) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("text", ["", "M", "1.5 X", "nan", "nanM", "1 2"])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(ValueError):
        parse_number(text)
