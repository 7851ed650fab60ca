"""The wheel and the sdist hold what a user needs, and `nas` runs from them alone."""

import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
PACKAGES = ("nas", "search_spaces", "evaluators")


def run(*words, cwd=None):
    ran = subprocess.run(
        list(map(str, words)), cwd=cwd, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    return ran.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The tracked files alone: a build must not need what lies about."""
    directory = tmp_path_factory.mktemp("source")
    for name in run("git", "ls-files", cwd=ROOT).splitlines():
        if (
            name.startswith(("nas/", "search_spaces/", "evaluators/"))
            or "/" not in name
        ):
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, directory / name)
    return directory


@pytest.fixture(scope="module")
def built(source, tmp_path_factory):
    """An sdist, and a wheel built from it, without the network."""
    out = tmp_path_factory.mktemp("dist")
    backend = "import sys, setuptools.build_meta as b; print(b.build_{}(sys.argv[1]))"
    run(sys.executable, "-c", backend.format("sdist"), out, cwd=source)
    (sdist,) = out.glob("*.tar.gz")
    with tarfile.open(sdist) as file:
        file.extractall(out / "unpacked", filter="data")
    (unpacked,) = (out / "unpacked").iterdir()
    run(sys.executable, "-c", backend.format("wheel"), out, cwd=unpacked)
    (wheel,) = out.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def python(built, tmp_path_factory):
    """An environment with the wheel; what it depends on comes from this one."""
    environment = tmp_path_factory.mktemp("env")
    run(sys.executable, "-m", "venv", "--without-pip", environment)
    path = environment / "bin" / "python"
    site = Path(
        run(path, "-c", "import site; print(site.getsitepackages()[0])").strip()
    )
    with zipfile.ZipFile(built) as file:
        file.extractall(site)
    # .pth files in a directory that a .pth file names are not read: ours is editable.
    (site / "others.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return path


def test_the_wheel_has_types_presets_and_the_page(built):
    names = set(zipfile.ZipFile(built).namelist())
    for package in PACKAGES:
        assert f"{package}/py.typed" in names
    tracked = run("git", "ls-files", "nas/presets", "nas/*/assets", cwd=ROOT)
    assert set(tracked.split()) <= names
    assert not [name for name in names if name.startswith(("tests", "benchmarks"))]


def test_its_metadata_are_those_of_the_project(built):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    with zipfile.ZipFile(built) as file:
        (name,) = (n for n in file.namelist() if n.endswith(".dist-info/METADATA"))
        text = file.read(name).decode()
    assert f"\nVersion: {project['version']}\n" in text
    assert "License-Expression: Apache-2.0" in text
    assert text.count("\nRequires-Dist: ") >= len(project["dependencies"])
    for extra in project["optional-dependencies"]:
        assert f"\nProvides-Extra: {extra}\n" in text


def test_nas_runs_from_the_wheel(python, tmp_path):
    where = run(python, "-I", "-c", "import nas; print(nas.__file__)", cwd=tmp_path)
    assert str(python.parent.parent) in where
    assert "export" in run(python, "-I", "-m", "nas", "--help", cwd=tmp_path)
    shown = run(python, "-I", "-m", "nas", "space", "quickstart", cwd=tmp_path)
    assert "free: 64 architectures" in shown
