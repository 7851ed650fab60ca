"""Blocks of code in the pages do what they show, on small studies.

What an extension is and how a parent gets a kind of block is run by test_docs.py and
test_docs_parents.py. Commands that search, train or distill are only parsed there: the
slow suites of their rooms run them.
"""

import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image

from nas.cli import main
from nas.config import SearchConfig, config_from_dict
from nas.exporting.exporter import export
from nas.exporting.format import Format

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)  # those without a file name
PUBLISHED = ROOT / "results" / "cifar10-placement"


def blocks(language):
    for page in PAGES:
        for found, text in BLOCK.findall(page.read_text(encoding="utf-8")):
            if found == language:
                yield page.name, text


CONFIGS = [
    (page, text)
    for page, text in blocks("yaml")
    if set(yaml.safe_load(text)) <= set(SearchConfig.model_fields)
]


@pytest.mark.parametrize(("page", "text"), CONFIGS)
def test_settings_are_a_config(page, text, tmp_path):
    settings = yaml.safe_load(text)
    if "root" in settings.get("data", {}):
        settings["data"]["root"] = str(tmp_path)
    config = config_from_dict(settings)
    config.space.make(10, 3, 64)


def test_other_yaml_is_an_architecture():
    others = [text for page, text in blocks("yaml") if (page, text) not in CONFIGS]
    assert all(text.startswith("format: alternet/") for text in others)


NEEDS = {
    "api.md": "a search: tests/nas/api/test_functions.py",
    "parents.md": "tests/test_docs_parents.py",
}
"""Pages whose Python is run elsewhere."""

PYTHON = [
    (page, text)
    for page, text in blocks("python")
    if page not in NEEDS and "hf-hub:" not in text  # a fake hub: exporting/test_hub.py
]


def is_slow(text):
    return "int8" in text  # compiles and quantizes


@pytest.fixture(scope="module")
def winner(trained_study, tmp_path_factory):
    """A directory in which an export lies as the pages have it."""
    directory = tmp_path_factory.mktemp("pages")
    export(
        trained_study, "best", directory / "winner", [Format("yaml"), Format("timm")]
    )
    Image.new("L", (12, 9), 90).save(directory / "photo.jpg")
    (directory / "results").symlink_to(ROOT / "results")
    return directory


@pytest.mark.parametrize(
    ("page", "text"),
    [
        pytest.param(
            *one, marks=pytest.mark.slow if is_slow(one[1]) else (), id=f"{i}-{one[0]}"
        )
        for i, one in enumerate(PYTHON)
    ],
)
def test_python_runs(page, text, winner, trained_study, monkeypatch, capsys):
    monkeypatch.chdir(winner)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setitem(sys.modules, "modeling_alternet", None)
    del sys.modules["modeling_alternet"]
    if is_slow(text):
        target, formats = winner / "quantized", [Format("onnx")]
        export(trained_study, "best", target, formats, quantize=True)
        shutil.copytree(target, winner / "winner", dirs_exist_ok=True)
    exec(compile(text, page, "exec"), {"__name__": "a_page"})
    assert "Traceback" not in capsys.readouterr().err


READING = {"agreement", "pareto", "show", "status", "rule", "predict", "report"}


def reading_lines():
    """Each command of the pages that only reads a study or a table."""
    for page, text in blocks("bash"):
        for line in text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[1:] and words[0].endswith("nas") and words[1] in READING:
                yield pytest.param(words[1:], id=f"{page}: {' '.join(words[1:])[:60]}")


STUDY = re.compile(r"^(\w*STUDY2?|study|runs/[\w-]+|results/cifar10-placement)$")
TWO_STEP = ROOT / "results" / "cifar10-parent"


@pytest.mark.slow
@pytest.mark.parametrize("words", list(reading_lines()))
def test_reading_commands_run(words, tmp_path, monkeypatch, capsys):
    """On a copy of a published study, whose metrics the pages speak of."""
    copy = tmp_path / "study"
    in_two_steps = words[0] == "agreement" or "study/scores" in words
    shutil.copytree(TWO_STEP if in_two_steps else PUBLISHED, copy)
    (tmp_path / "results").symlink_to(ROOT / "results")
    monkeypatch.chdir(tmp_path)
    arguments = [str(copy) if STUDY.match(word) else word for word in words]
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0, capsys.readouterr().err
