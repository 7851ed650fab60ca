import pytest

from nas.cli import main


@pytest.mark.parametrize("verb", ["status", "pareto", "show", "rule", "predict"])
def test_every_reading_command_names_a_damaged_line(published_copy, capsys, verb):
    ledger = published_copy / "study.log"
    lines = ledger.read_bytes().splitlines(keepends=True)
    middle = len(lines) // 2
    lines[middle] = bytes([lines[middle][0] ^ 4]) + lines[middle][1:]
    ledger.write_bytes(b"".join(lines))
    number = ["best"] if verb == "show" else []
    with pytest.raises(SystemExit) as ended:
        main([verb, str(published_copy), *number])
    assert ended.value.code == 0
    out, err = capsys.readouterr()
    assert f"study.log: line {middle + 1} " in " ".join((out + err).split())
