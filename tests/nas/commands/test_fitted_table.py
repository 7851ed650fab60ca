import csv
import io

from nas.commands.fitted_table import Column, csv_text, latex, markdown, print_fitted

COLUMNS = [
    Column("name", ["a_b", "c|d"], 0, is_text=True),
    Column("value", ["12.34 ± 0.05", "–"], 0),
    Column("wide", ["x" * 40, ""], 3, is_text=True),
    Column("less wide", ["y" * 20, ""], 2, is_text=True),
]


def test_columns_are_left_out_in_order_and_numbers_are_never_cut(capsys):
    print_fitted("t", COLUMNS, width=60)
    text = capsys.readouterr().out
    assert "12.34 ± 0.05" in text and "y" * 20 in text and "xxx" not in text
    assert "no room for: wide" in text
    print_fitted("t", COLUMNS, width=10)
    text = capsys.readouterr().out
    assert "12.34 ± 0.05" in text and "a_b" in text
    assert "no room for: less wide, wide" in text


def test_markdown_and_latex_escape_what_they_must():
    assert "| c\\|d | – |" in markdown(COLUMNS[:2])
    found = latex(COLUMNS[:2])
    assert "a\\_b & 12.34 $\\pm$ 0.05 \\\\" in found
    assert found.startswith("\\begin{tabular}{lr}")


def test_csv_is_read_back_and_holds_no_formula():
    rows = [{"name": "=1+1", "value": 0.5}, {"name": "b", "more": None}]
    found = list(csv.DictReader(io.StringIO(csv_text(rows))))
    assert found[0] == {"name": "'=1+1", "value": "0.5", "more": ""}
