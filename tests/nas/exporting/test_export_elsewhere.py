"""Exports run where nothing of ours is installed, by the lines of their own README."""

import os
import re
import shutil
import subprocess

import pytest
import torch
from PIL import Image

from nas.data.datasets import load_dataset
from nas.exporting.exporter import export, load_export
from nas.exporting.format import Format

pytestmark = pytest.mark.slow

UV = shutil.which("uv")

ELSEWHERE = {
    "torch alone": ["torch"],
    "ONNX Runtime alone": ["onnxruntime"],
    "timm alone": ["timm"],
}


@pytest.fixture(scope="module")
def exported(trained_study, tmp_path_factory):
    """A model with attention in every format, and one image it has not seen."""
    directory = tmp_path_factory.mktemp("elsewhere") / "model"
    export(trained_study, "2", directory, list(Format))
    pixels = load_dataset(trained_study.config.data).test.images[0, 0]
    Image.fromarray(pixels).save(directory / "image.png")
    return directory


def usage(directory, title):
    """The code that the README gives for one way of running the model."""
    text = (directory / "README.md").read_text()
    return re.search(rf"### With {title}.*?```python\n(.*?)```", text, re.S)[1]


def expected(directory):
    model, preprocessing = load_export(directory)
    with torch.no_grad():
        logits = model(
            preprocessing(preprocessing.open_images([directory / "image.png"]))
        )
    return logits, preprocessing.class_names[int(logits.argmax())]


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("title", ELSEWHERE)
def test_the_readme_of_an_export_is_enough(exported, tmp_path, title):
    if UV is None:
        pytest.skip("uv makes the environments and is not installed")
    environment = tmp_path / "env"
    python = environment / "bin" / "python"
    quiet = {"check": True, "capture_output": True, "text": True}
    subprocess.run([UV, "venv", "--python", "3.11", environment], **quiet)
    packages = [*ELSEWHERE[title], "numpy", "pillow"]
    subprocess.run([UV, "pip", "install", "--python", python, *packages], **quiet)
    installed = subprocess.run(
        [UV, "pip", "list", "--python", python, "--format", "freeze"], **quiet
    ).stdout
    assert "alternet" not in installed
    model = tmp_path / "model"
    shutil.copytree(exported, model)
    code = usage(model, title) + "\nprint(' '.join(map(repr, logits.ravel().tolist())))"
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    ran = subprocess.run([python, "-c", code], cwd=model, env=clean, **quiet)
    name, numbers = ran.stdout.strip().splitlines()[-2:]
    logits, expected_name = expected(exported)
    assert name == expected_name
    got = torch.tensor([float(number) for number in numbers.split()])
    assert torch.allclose(got, logits[0], atol=1e-4)


def test_with_alternet_nas_itself(exported, capsys, monkeypatch):
    monkeypatch.chdir(exported)
    exec(usage(exported, "alternet-nas"), {})
    assert capsys.readouterr().out.strip() == expected(exported)[1]
