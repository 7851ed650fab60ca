import importlib
import inspect
import json
import subprocess
import sys

import click
import pytest

from nas.cli import VERBS, main
from search_spaces.errors import InputError


def run(*arguments):
    """Run the command line in this process; returns its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return ended.value.code


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb, capsys):
    assert run(verb, "--help") == 0
    written = capsys.readouterr().out
    assert f"nas {verb}" in written
    # Examples keep their lines, and no mark of click's is left in the text.
    assert "\\b" not in written
    command = importlib.import_module(f"nas.commands.{verb}").command
    examples = inspect.getdoc(command.callback).split("\\b\n")[1:]
    for line in "\n".join(one.split("\n\n")[0] for one in examples).splitlines():
        assert f"\n  {line}\n" in written


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_a_command_with_few_options(verb):
    command = importlib.import_module(f"nas.commands.{verb}").command
    assert isinstance(command, click.Command)
    assert len(command.params) <= 12


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["serach"], "unknown command 'serach'; there are search, probe, distill"),
        (["space"], "Missing argument 'PRESET|CONFIG.yaml'. (nas space --help)"),
        (["space", "quick"], "there is no 'quick'"),
        (["space", "quickstart", "--sett", "a"], "No such option"),
        (["space", "quickstart", "--set", "data.name=mnist"], "unknown data set"),
        (
            ["space", "quickstart", "--set", "space.attention.window=5"],
            "windows that fit: 1, 2, 7, 14",
        ),
        (["status", "nowhere"], "nowhere"),
        (["pareto", "nowhere"], "nowhere"),
    ],
)
def test_wrong_input_is_one_line_and_code_2(arguments, message, capsys):
    assert run(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert message in captured.err


def test_a_search_with_wrong_input_writes_nothing(tmp_path, capsys):
    out = tmp_path / "study"
    config = tmp_path / "c.yaml"
    for text, message in (
        ("serch: {}", "unknown key 'serch'"),
        ("space: {attention: {window: 5}}", "windows that fit"),
        ("data: {name: imagefolder, image_size: 8, root: nowhere}", "nowhere"),
        ("search: {sampler: best}", "unknown sampler 'best'"),
        ("space: {constraints: {max_params: 3}}", "no architecture of the space"),
    ):
        config.write_text(text)
        assert run("search", str(config), "--out", str(out)) == 2
        captured = capsys.readouterr()
        assert message in captured.err and captured.err.count("\n") == 1
        assert not out.exists()


def test_space_prints_json_and_nothing_else(capsys):
    assert run("space", "quickstart", "--format", "json", "--examples", "3") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["size"] == 2 ** facts["free_slots"]
    assert len(facts["examples"]) == 3


def test_other_errors_are_code_1_and_debug_shows_the_traceback(monkeypatch, capsys):
    def broken(*_):
        raise RuntimeError("the disk\nis full")

    monkeypatch.setattr("nas.config.load_config", broken)
    assert run("space", "quickstart") == 1
    assert capsys.readouterr().err == "nas: RuntimeError: the disk is full\n"
    assert run("space", "quickstart", "--debug") == 1
    assert "Traceback" in capsys.readouterr().err


def test_interrupts_have_their_own_code(monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("nas.config.load_config", interrupted)
    assert run("space", "quickstart") == 130


def test_without_a_word_it_shows_its_help(capsys):
    assert run() == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.startswith("Usage: nas") and "\n  search " in captured.out


def test_help_needs_no_heavy_import():
    code = (
        "import sys, nas.cli\n"
        "heavy = {'torch', 'ray', 'optuna', 'pandas', 'matplotlib'}\n"
        "found = heavy & set(sys.modules)\n"
        "sys.exit(f'imported {found}' if found else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


ARCHITECTURE = """\
format: alternet/1
backbone: {block: basic, stem: cifar, depths: [1, 1], widths: [4, 8]}
placement: C-M
attention: {heads: 1, head_dim: 4, window: 4}
num_classes: 10
in_channels: 1
image_size: 28
"""

WRONG_AT_ONCE = [
    ["search", "quikstart"],
    ["space", "quikstart"],
    ["search", "quickstart", "--set", "trainng.epochs=3"],
    ["search", "quickstart", "--set", "training.epoch=3"],
    ["search", "quickstart", "--set", "training.epochs=many"],
    ["search", "quickstart", "--set", "training.epochs=["],
    ["search", "quickstart", "--set", "space.backbone.preset=tny"],
    ["space", "quickstart", "--set", "space.kind=fre"],
    ["search", "quickstart", "--set", "evaluators=[acuracy]"],
    ["search", "quickstart", "--set", "objectives=[acuracy]"],
    ["search", "quickstart", "--set", "objectives=[{metric: a, direction: maximize}]"],
    ["search", "quickstart", "--set", "rule={metric: acuracy}"],
    ["search", "quickstart", "--set", "search.sampler=tpee"],
    ["search", "quickstart", "--set", "data.name=mnist"],
    ["space", "images", "--set", "data.root=/nope"],
    ["distill", "images", "--out", "out", "--set", "data.root=/nope"],
    ["train", "a.yaml", "--config", "quickstart", "--set", "data.name=mnist"],
    ["search", "images"],
    ["search", "cifar10"],
    ["search", "cifar10", "--set", "data.root=/nope"],
    ["supernet", "cifar10", "--out", "out", "--set", "data.name=cifar100"],
    ["probe", "cifar10", "--to", "a.safetensors"],
    ["train", "a.yaml", "--config", "images"],
    ["evaluate", "exported"],
    ["evaluate", "exported", "--set", "data.root=/nope"],
    ["evaluate", "a.yaml", "--data", "cifar10"],
    ["evaluate", "a.yaml", "--data", "images"],
    ["evaluate", "a.yaml", "--evaluators", "acuracy"],
    ["evaluate", "a.yaml", "--data", "mnist"],
    ["export", "/nope", "--to", "out"],
    ["train", "a.yaml", "--config", "quikstart"],
    ["evaluate", "/nope"],
    ["evaluate", "nope/best"],
    ["status", "nowhere"],
    ["pareto", "nowhere"],
    ["show", "nowhere", "best"],
    ["export", "nowhere", "--to", "out"],
    ["resume", "nowhere"],
]


def test_a_typo_is_answered_before_anything_heavy_is_imported(tmp_path):
    """In one process: what one of them imported, the next would be blamed for."""
    code = f"""
import sys
from nas.cli import main
for arguments in {WRONG_AT_ONCE!r}:
    try:
        main(arguments)
    except SystemExit as ended:
        assert ended.code == 2, (arguments, ended.code)
    heavy = {{'torch', 'torchvision', 'ray', 'optuna', 'matplotlib', 'statsmodels'}}
    found = heavy & set(sys.modules)
    assert not found, (arguments, found)
"""
    (tmp_path / "a.yaml").write_text(ARCHITECTURE)
    (tmp_path / "exported").mkdir()
    (tmp_path / "exported" / "architecture.yaml").write_text(ARCHITECTURE)
    recipe = "data: {name: imagefolder, image_size: 28}\n"
    (tmp_path / "exported" / "recipe.yaml").write_text(recipe)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("\n") == len(WRONG_AT_ONCE)


def test_a_long_message_is_cut_and_a_hint_is_for_the_command_line(monkeypatch, capsys):
    def wrong(*_):
        raise InputError("x" * 5000 + "\x1b[2J", hint="nas help")

    monkeypatch.setattr("nas.config.load_config", wrong)
    assert run("space", "quickstart") == 2
    error = capsys.readouterr().err
    assert len(error) < 1700 and error.endswith("\\x1b[2J (nas help)\n")
    assert str(InputError("what", hint="nas help")) == "what"
    assert InputError("what", hint="nas help").within("a.yaml").hint == "nas help"


def test_the_module_runs():
    done = subprocess.run(
        [sys.executable, "-m", "nas", "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0
    for verb in VERBS:
        assert verb in done.stdout


@pytest.mark.parametrize(
    ("arguments", "end"),
    [
        (["serach"], "(did you mean 'search'?)"),
        (["runs/a", "pareto"], "(the command comes first: nas pareto runs/a)"),
        (["space", "imges"], "(did you mean 'images'?)"),
        (["space", "images", "--set", "data.rot=a"], "(did you mean 'root'?)"),
        (["show", "best"], "(the study stands before the trial: STUDY best)"),
        (["xyz"], "doctor, init"),  # nothing is near
    ],
)
def test_a_probable_typo_is_answered_with_the_name(arguments, end, capsys):
    assert run(*arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(end)
