import pytest
from click.testing import CliRunner

from nas.cli import nas


def completed(words, last):
    """What bash is offered for the last word of a command line."""
    variables = {
        "_NAS_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join([*words, last]),
        "COMP_CWORD": str(len(words)),
    }
    result = CliRunner().invoke(nas, [], env=variables, prog_name="nas")
    return result.output.split()


@pytest.fixture(autouse=True)
def _runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("photos", "phone"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "config.yaml").write_text("")
    (tmp_path / "runs" / "phantom").mkdir()


@pytest.mark.parametrize(
    ("words", "last", "offered"),
    [
        (["nas", "show"], "ph", ["plain,phone", "plain,photos"]),
        (["nas", "pareto", "photos", "--compare"], "l", ["plain,latest"]),
        (["nas", "status"], "./ru", ["file,./ru"]),
        (["nas", "search"], "im", ["plain,images"]),
        (["nas", "doctor"], "my.y", ["file,my.y"]),
    ],
)
def test_names_are_completed_and_paths_left_to_the_shell(words, last, offered):
    assert completed(words, last) == offered
