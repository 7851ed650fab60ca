import pandas as pd
import pytest

from nas.csv_text import csv_cell, csv_frame, csv_row


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@sum(a)", "\t=1", "\r=1"])
def test_formulas_become_text(text):
    assert csv_cell(text) == f"'{text}"


@pytest.mark.parametrize("value", ["a=1", "", "CC-CM", -1.5, 3, None, True])
def test_the_rest_is_left_alone(value):
    assert csv_cell(value) is value


def test_names_of_columns_count_too():
    assert csv_row({"=a": "-b", "c": -1.0}) == {"'=a": "'-b", "c": -1.0}
    frame = pd.DataFrame({"=1+1": [-0.5], "error": ["=cmd()"], "n": pd.array([None])})
    text = csv_frame(frame).to_csv(index=False)
    assert text == "'=1+1,error,n\n-0.5,'=cmd(),\n"
    assert list(frame.columns)[0] == "=1+1"
