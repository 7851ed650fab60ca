"""The commands of the pages that train or export do what they show, on little.

Page by page, its commands in their order and in one directory, each with the words
behind it that make it small. What only reads a study is run by test_docs_blocks.py.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import save_file
from search_parts import QUICK

from nas.cli import main
from tests.nas.data.image_folders import noise_folder

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)(?: ([\w.]+))?\n(.*?)^```$", re.M | re.S)

READING = {"agreement", "pareto", "predict", "report", "rule", "show", "status"}
"""Verbs whose commands are run by test_docs_blocks.py, and test_two_step.py."""

ELSEWHERE = {
    "claims": "trains 21 networks: claims/test_claims_command.py",
    "--push": "a fake hub: exporting/test_hub.py",
    "--quantize": "with the Python that reads it: test_docs_blocks.py",
}

FAKE = ["data.name=imagefolder"]
"""CIFAR-10 where there is none: a directory of as many classes."""


def commands(page):
    """The words of each nas command of a page."""
    for language, _, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        if language == "bash":
            for line in text.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words and words[0].endswith("nas"):
                    yield words[1:]


def runs_here(words):
    return words[0] not in READING and not set(words) & set(ELSEWHERE)


def smaller(words):
    """What is added to a command so that it takes seconds; the last word counts."""
    verb, *_ = words
    text = " ".join(words)
    if verb == "train":
        return ["--epochs", "1", "--seeds", "1"]
    if verb == "resume":
        return ["--trials", "3"]
    if verb not in ("search", "supernet", "distill"):
        return []
    changes = [*QUICK, "search.baselines=false"]
    if "cifar10-fast" in words and "imagefolder" not in text:
        changes += FAKE
    if "cifar10-fast" in words and "--from" in words:
        # The whole space of nine slots would be scored.
        changes += ["space.kinds=[C, C, CM]"]
    if "--from" in words or "cnn.yaml" in words:
        library = {"epochs": 1, "images": 16, "batch_size": 8}
        changes += [f"parent.library.{name}={n}" for name, n in library.items()]
    if verb == "supernet" or "supernet" in text:
        changes += ["scoring.epochs=1", "scoring.kind=supernet"]
    small = [word for change in changes for word in ("--set", change)]
    if verb == "search":
        small += ["--trials", "2"]
    has_place = "--out" in words or verb != "search"
    return small if has_place else [*small, "--out", "runs/without a name"]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A directory with what the pages take for granted."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").symlink_to(ROOT / "results")
    for name, size in (("photos", 40), ("my_images", 64), ("DIR", 32)):
        noise_folder(tmp_path / name, {"cat": 24, "dog": 24}, (size, size))
    ten = {str(label): 10 for label in range(10)}
    noise_folder(tmp_path / "images", ten, (32, 32))
    backbone = {"block": "basic", "stem": "cifar", "depths": [1, 2], "widths": [4, 8]}
    config = {
        "data": {"name": "digits"},
        "space": {"backbone": backbone, "attention": {"heads": 2, "head_dim": 4}},
        "evaluators": ["accuracy", "cost"],
    }
    (tmp_path / "CONFIG").write_text(yaml.safe_dump(config))
    return tmp_path


def write_files(page, place, monkeypatch):
    """The files that a page shows, and the weights that it has been given."""
    for language, name, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        comment = re.match(r"# (\w+\.yaml)\n", text)
        if name or (language == "yaml" and comment):
            (place / (name or comment[1])).write_text(text, encoding="utf-8")
    if page.name == "parents.md":
        import timm

        torch.manual_seed(0)
        model = timm.create_model("efficientnet_lite0", num_classes=2)
        save_file(model.state_dict(), place / "my_weights.safetensors")


def run_apart(words, place):
    """In a process whose workers find the modules that the page shows."""
    done = subprocess.run(
        [sys.executable, "-m", "nas.cli", *words],
        cwd=place,
        env=dict(os.environ, PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stderr, file=sys.stderr)
    return done.returncode


def run(words):
    with pytest.raises(SystemExit) as ended:
        main(words)
    return ended.value.code


TRAINING = [page for page in PAGES if any(map(runs_here, commands(page)))]


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("page", TRAINING, ids=[page.name for page in TRAINING])
def test_training_commands_run(page, place, local_ray, monkeypatch, capsys):
    write_files(page, place, monkeypatch)
    if page.name == "export.md":
        small = [word for change in QUICK for word in ("--set", change)]
        # 16 placements, so that there is the trial 12 of which the page speaks.
        small += ["--set", "space.backbone.depths=[2, 3]"]
        words = ["search", "CONFIG", *small, "--trials", "13", "--out"]
        assert run([*words, "runs/quickstart", "--quiet"]) == 0
    for words in commands(page):
        if not runs_here(words):
            continue
        out = words[words.index("--out") + 1] if "--out" in words else ""
        if words[0] == "search" and out:
            shutil.rmtree(place / out, ignore_errors=True)
        shutil.rmtree(place / "runs" / "without a name", ignore_errors=True)
        words = [*words, *smaller(words)]
        code = run_apart(words, place) if page.name == "extending.md" else run(words)
        assert code == 0, (words, capsys.readouterr().err[-3000:])


def test_what_is_run_elsewhere_is_still_in_the_pages():
    words = {word for page in PAGES for line in commands(page) for word in line}
    assert set(ELSEWHERE) <= words
