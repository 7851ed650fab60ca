"""Malformed tables end in one clear line and code 2, or are used with a note."""

import warnings

import pytest

from nas.cli import main

HEADER = "placement,accuracy,params,seed,epochs,state"
PLACEMENTS = [
    f"C{a}{b}-C{c}{d}" for a in "CM" for b in "CM" for c in "CM" for d in "CM"
]
ROWS = [f"{one},0.{i:02},{1000 + i},0,3,complete" for i, one in enumerate(PLACEMENTS)]
HUGE = "9" * 5000


def table(*rows, header=HEADER):
    return "".join(f"{row}\n" for row in (header, *(rows or ROWS)))


def with_cell(column, text):
    """The table with one cell of its third row changed."""
    rows = [row.split(",") for row in ROWS]
    rows[2][HEADER.split(",").index(column)] = text
    return table(*(",".join(row) for row in rows))


def run(tmp_path, text):
    path = tmp_path / "t.csv"
    path.write_text(text, encoding="utf-8")
    with warnings.catch_warnings(), pytest.raises(SystemExit) as ended:
        warnings.simplefilter("error")  # a warning would be a second line
        main(["rule", str(path)])
    return ended.value.code


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (with_cell("accuracy", "1e308"), "'accuracy' must be smaller than 1e+100"),
        (with_cell("accuracy", "-1.7e308"), "got -1.7e+308 in line 4"),
        (with_cell("params", "1e308"), "'params' must be smaller than 1e+100"),
        (with_cell("params", HUGE), "'params' holds numbers; got '999"),
        (with_cell("epochs", HUGE), "'epochs' holds numbers; got '999"),
        (with_cell("accuracy", "2026-11-24"), "got '2026-11-24' in line 4"),
        (with_cell("placement", "C" * 5000), "must have the same depths"),
        (with_cell("placement", "C\0M-CCC"), "got '\\x00' at stage 1, block 2"),
        (HEADER + "\n", "0 rows, none of them complete"),
        ("", "No columns to parse"),
        (
            table(*(row.removesuffix("complete") for row in ROWS)),
            "none of them complete with a value",
        ),
        (table(*(f"{row},0.5" for row in ROWS), header=HEADER + ",accuracy"), "two"),
        (table(*(f"{row},failed" for row in ROWS), header=HEADER + ",state"), "two"),
        (table().replace(",", ";"), "has a column 'placement'"),
        (table(*ROWS, ROWS[0] + ",7,8,9"), "Expected 6 fields in line 18, saw 9"),
        (table() + '"CCC', "EOF inside string"),
    ],
)
def test_one_line_and_code_2(tmp_path, capsys, text, message):
    assert run(tmp_path, text) == 2
    error = capsys.readouterr().err
    assert error.startswith("nas: ") and error.count("\n") == 1
    assert message in error and len(error) < 1700


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (with_cell("state", ""), "left out: 1 without a state"),
        (
            with_cell("state", "").replace(
                ROWS[0], ROWS[0].replace("compl", "incompl")
            ),
            "left out: 1 incomplete, 1 without a state",
        ),
        (with_cell("accuracy", "1e999"), "1 row has no finite 'accuracy'"),
        (with_cell("accuracy", HUGE), "1 row has no finite 'accuracy'"),
        (with_cell("epochs", ""), "1 complete trials of another budget"),
        (with_cell("seed", HUGE), ""),
        (with_cell("accuracy", "1e-320"), ""),
        ("\ufeff" + table(), ""),
    ],
)
def test_what_can_be_used_is_used(tmp_path, capsys, text, note):
    assert run(tmp_path, text) == 0
    out, err = capsys.readouterr()
    assert note in " ".join(out.split()) and err == ""
