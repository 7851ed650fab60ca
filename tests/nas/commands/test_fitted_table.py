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


def test_sentences_wrap_before_a_column_is_left_out(capsys):
    sentence = "several words of a sentence that goes on and on"
    columns = [
        Column("words", [sentence, "two"], is_text=True, wraps=True),
        Column("value", ["12.34", "5"]),
        Column("more", ["z" * 10, ""], 1, is_text=True),
    ]
    print_fitted("", columns, width=50, sections=[0])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 50 and "z" * 10 in "".join(lines)
    assert sum("─" in line for line in lines) == 2  # a section, the end
    shown = " ".join(line.split("│")[1].strip() for line in lines if "│" in line)
    assert shown == f"{sentence} two"


def test_markdown_and_latex_escape_what_they_must():
    assert "| c\\|d | – |" in markdown(COLUMNS[:2])
    found = latex(COLUMNS[:2])
    assert "a\\_b & 12.34 $\\pm$ 0.05 \\\\" in found
    assert found.startswith("\\begin{tabular}{lr}")


def test_csv_is_read_back_and_holds_no_formula():
    rows = [{"name": "=1+1", "value": 0.5}, {"name": "b", "more": None}]
    found = list(csv.DictReader(io.StringIO(csv_text(rows))))
    assert found[0] == {"name": "'=1+1", "value": "0.5", "more": ""}
