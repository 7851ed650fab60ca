"""docs/notebook.ipynb in a real kernel: it runs, shows pictures, and none of Ray's."""

import sys
from pathlib import Path

import nbformat
import pytest

NOTEBOOK = Path(__file__).parent.parent / "docs" / "notebook.ipynb"


def test_notebook_is_committed_without_outputs():
    for cell in nbformat.read(NOTEBOOK, 4).cells:
        assert cell.cell_type != "code" or not cell.outputs


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_notebook_runs_and_shows_what_it_says(tmp_path, monkeypatch):
    from jupyter_client.kernelspec import KernelSpecManager
    from nbclient import NotebookClient

    # The kernel of this environment, whatever else is installed on the machine.
    kernels = tmp_path / "kernels" / "python3"
    kernels.mkdir(parents=True)
    (kernels / "kernel.json").write_text(
        f'{{"argv": ["{sys.executable}", "-m", "ipykernel_launcher", "-f", '
        '"{connection_file}"], "display_name": "Python 3", "language": "python"}'
    )
    monkeypatch.setattr(
        KernelSpecManager, "kernel_dirs", [str(kernels.parent)], raising=False
    )
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parent.parent))
    notebook = nbformat.read(NOTEBOOK, 4)
    NotebookClient(
        notebook, timeout=800, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    outputs = [c.outputs for c in notebook.cells if c.cell_type == "code"]
    search, *shown = outputs
    assert all(o.output_type == "stream" for o in search), "something of Ray's"
    assert "12/12" in "".join(o.text for o in search)
    html = [o.data.get("text/html", "") for cell in shown for o in cell]
    assert sum("<svg" in one for one in html) >= 1, "the diagram of the best placement"
    assert any("inconclusive" in one for one in html)
    assert any("image/png" in o.data for cell in shown for o in cell)
    assert (tmp_path / "runs" / "notebook-best" / "architecture.yaml").is_file()
