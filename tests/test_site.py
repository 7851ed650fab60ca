"""`make docs`: every page is reachable, and every link leads somewhere."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SPHINX = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-c", "docs"]


def test_every_page_is_in_the_table_of_contents():
    index = (ROOT / "docs" / "index.md").read_text()
    listed = {line.strip() for line in index.splitlines()}
    for page in (ROOT / "docs").glob("*.md"):
        assert page.stem in listed or page.stem == "index"


@pytest.mark.slow
def test_site_is_built_without_a_warning(tmp_path):
    built = subprocess.run(
        [*SPHINX, "-d", tmp_path / "trees", ".", tmp_path / "site"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "site" / "docs" / "index.html").is_file()
    assert (tmp_path / "site" / "README.html").is_file()


@pytest.mark.slow
def test_a_broken_link_is_an_error(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "conf.py").write_text((ROOT / "docs" / "conf.py").read_text())
    (tmp_path / "docs" / "index.md").write_text("# Title\n\n[there](nowhere.md)\n")
    built = subprocess.run(
        [*SPHINX, ".", tmp_path / "site"], cwd=tmp_path, capture_output=True, text=True
    )
    assert built.returncode != 0
    assert "nowhere.md" in built.stderr
