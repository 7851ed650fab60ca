from types import SimpleNamespace

import pytest

from nas.figures.trained import draw, trained_figure
from nas.study.layout import StudyLayout
from nas.study.live_history import write_history
from nas.train_run import TrainedRow
from search_spaces.errors import InputError

CURVES = {0: (0.5, 0.6, 0.8), 1: (0.3, 0.6, 0.6), 2: (0.2, 0.4, 0.5)}
TESTED = {0: 0.75, 1: 0.65, 2: 0.45}


@pytest.fixture
def study(tmp_path):
    """Two runs of one network and one of another."""
    layout = StudyLayout(tmp_path)
    for number, curve in CURVES.items():
        epochs = [{"epoch": at, "val_accuracy": v} for at, v in enumerate(curve, 1)]
        write_history(layout.trial(number), epochs)
    tested = {n: SimpleNamespace(number=n, test_accuracy=v) for n, v in TESTED.items()}
    return SimpleNamespace(layout=layout, test_results=lambda: tested)


def row(label, runs, sd=None):
    return TrainedRow(label, "CC-CM", 1, 1, len(runs), 0.7, sd, 1.0, 0.7, runs=runs)


ROWS = [row("winner", (0, 1), 0.07), row("all_conv", (2,))]


def test_curves_and_points_are_those_of_the_runs(study):
    curves, tested = trained_figure(study, ROWS).axes
    named = {one.get_label(): list(one.get_ydata()) for one in curves.get_lines()}
    assert named["winner"] == pytest.approx([40, 60, 70])
    assert named["all_conv"] == pytest.approx([20, 40, 50])
    assert len(curves.get_lines()) == 5  # every run, and two means
    dots = [list(one.get_ydata()) for one in tested.get_lines() if one.get_alpha()]
    assert dots == [pytest.approx([75, 65]), pytest.approx([45])]
    assert [t.get_text() for t in tested.get_xticklabels()] == ["winner", "all_conv"]


def test_it_is_drawn_into_figure_files_also_without_curves(study, tmp_path):
    draw(study, [row("lost", ())], tmp_path / "none.svg")
    draw(study, ROWS, tmp_path / "runs.png")
    assert (tmp_path / "runs.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InputError, match=r"ends in one of .png"):
        draw(study, ROWS, tmp_path / "runs.txt")
