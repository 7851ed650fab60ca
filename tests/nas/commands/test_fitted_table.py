import csv
import io
from contextlib import redirect_stdout

from hypothesis import given, settings
from hypothesis import strategies as st

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
    assert "no room for: less wide, wide" in " ".join(text.split())


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


CELLS = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z", "M"]), max_size=50
)


@settings(max_examples=30)
@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=4), st.booleans())
def test_nothing_of_a_cell_is_lost_at_any_width(rows, wraps):
    first, second, third = zip(*rows, strict=True)
    columns = [
        Column("first", [f"two {cell}" for cell in first], is_text=True, wraps=wraps),
        Column("second", second),
        Column("third", third, 1),
    ]
    # The console is that of a pipe, 80 columns; two columns may need more than that.
    with redirect_stdout(io.StringIO()) as out:
        print_fitted("", columns)
    text = out.getvalue()
    cells = [[part.strip() for part in line.split("│")] for line in text.splitlines()]
    shown = ["".join(one[at] for one in cells if len(one) > 3) for at in (1, 2)]
    assert shown[0].replace(" ", "") == "".join(f"two{cell}" for cell in first)
    assert shown[1] == "".join(second)


def test_a_table_that_needs_more_than_the_terminal_is_a_long_line(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    long = "runs/" + "a_long_name_of_a_study/" * 4
    print_fitted("", [Column("study", [long], is_text=True), Column("b", ["1 ± 2"])])
    text = capsys.readouterr().out
    assert long in text and "1 ± 2" in text
    japanese = "\u65e5\u672c" * 30  # two columns a character
    column = Column("study", [f"of {japanese}"], is_text=True, wraps=True)
    print_fitted("", [column, Column("b", ["1 ± 2"])])
    text = capsys.readouterr().out
    assert "…" not in text and "1 ± 2" in text
    assert text.count("\u65e5") == text.count("\u672c") == 30


def test_markdown_and_latex_escape_what_they_must():
    assert "| c\\|d | – |" in markdown(COLUMNS[:2])
    found = latex(COLUMNS[:2])
    assert "a\\_b & 12.34 $\\pm$ 0.05 \\\\" in found
    assert found.startswith("\\begin{tabular}{lr}")


def test_csv_is_read_back_and_holds_no_formula():
    rows = [{"name": "=1+1", "value": 0.5}, {"name": "b", "more": None}]
    found = list(csv.DictReader(io.StringIO(csv_text(rows))))
    assert found[0] == {"name": "'=1+1", "value": "0.5", "more": ""}
