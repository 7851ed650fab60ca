"""Figures are tested by their numbers; drawing only by its files."""

import csv
import json

import pytest
from block_cases import alternet, random_data

from evaluators.blocks.cka import CKA
from evaluators.blocks.feature_variance import FeatureVariance
from evaluators.blocks.lesion import Lesion
from evaluators.blocks.low_pass import LowPass
from evaluators.classification.calibration import Calibration
from evaluators.classification.frequency_noise import FrequencyNoise
from evaluators.loss.flatness import Flatness
from evaluators.loss.loss_landscape import LossLandscape
from nas.figures.paper import FIGURES, paper_figures, save_figure

EVALUATORS = (
    LowPass(),
    FeatureVariance(),
    FrequencyNoise(),
    Lesion(),
    CKA(),
    Calibration(num_resamples=5),
    Flatness(max_batches=2),
    LossLandscape(num_points=3, max_images=16),
)


@pytest.fixture(scope="module")
def models():
    data = random_data(num_images=24)
    measured = {
        placement: {e.name: e.evaluate(alternet(placement), data) for e in EVALUATORS}
        for placement in ("CM-CMC", "CC-CC")
    }
    details = {
        name: {key: evaluation.details for key, evaluation in evaluations.items()}
        for name, evaluations in measured.items()
    }
    # What a figure is made of must survive a file.
    return json.loads(json.dumps(details))


@pytest.fixture(scope="module")
def figures(models):
    return {figure.name: figure for figure in paper_figures(models)}


def test_there_is_a_figure_for_everything_measured(figures):
    assert set(figures) == {
        *("fourier", "fourier_depth", "variance_depth", "frequency_noise", "lesion"),
        *("cka", "hessian_spectrum", "loss_landscape", "reliability"),
    }
    assert {evaluator.name for evaluator in EVALUATORS} | {"hessian_trace"} == set(
        FIGURES
    )


def test_fourier_curves_are_those_of_every_block(figures, models):
    mixed, conv = figures["fourier"].panels
    blocks = models["CM-CMC"]["low_pass"]["blocks"]
    assert (mixed.title, conv.title) == ("CM-CMC", "CC-CC")
    assert len(mixed.lines) == 1 + len(blocks)
    assert mixed.lines[3].y == tuple(blocks[2]["after"])
    assert mixed.lines[3].x[-1] == 1.0
    assert [line.rank for line in mixed.lines] == [0, 0.2, 0.4, 0.6, 0.8, 1]


def test_depth_shades_msa_blocks_and_marks_stages(figures, models):
    level, _, change, _ = figures["fourier_depth"].panels
    assert level.shaded == ((1, 2), (3, 4))
    assert level.borders == (2,)
    blocks = models["CM-CMC"]["low_pass"]["blocks"]
    (line,) = level.lines
    assert line.x == (0, 1, 2, 3, 4, 5)
    assert line.y[0] == blocks[0]["before"][-1]
    assert line.y[1:] == tuple(block["after"][-1] for block in blocks)
    stream, branch = change.lines
    assert stream.y == tuple(block["change"] for block in blocks)
    assert branch.error == tuple(block["branch_change_se"] for block in blocks)
    assert figures["fourier_depth"].panels[1].shaded == ()


def test_variance_lesion_and_noise(figures, models):
    blocks = models["CM-CMC"]["feature_variance"]["blocks"]
    assert figures["variance_depth"].panels[0].lines[0].y[-1] == blocks[-1]["after"]
    conv, msa = figures["lesion"].panels[0].lines
    assert (conv.label, msa.label) == ("Conv", "MSA")
    lesions = models["CM-CMC"]["lesion"]["blocks"]
    assert msa.x == (1.5, 3.5)
    assert msa.y == (-100 * lesions[1]["drop"], -100 * lesions[3]["drop"])
    (panel,) = figures["frequency_noise"].panels
    assert [line.label for line in panel.lines] == ["CM-CMC", "CC-CC"]
    bands = models["CC-CC"]["frequency_noise"]["bands"]
    assert panel.lines[1].y == tuple(-100 * band["drop"] for band in bands)


def test_the_histogram_of_eigenvalues_has_area_one(figures):
    panel = figures["hessian_spectrum"].panels[0]
    for line in panel.lines:
        width = line.x[1] - line.x[0]
        assert sum(line.y) * width == pytest.approx(1)


def test_landscapes_share_one_scale_and_start_from_the_centre(figures):
    images = [panel.image for panel in figures["loss_landscape"].panels]
    assert len(images) == 4
    assert images[0].limits == images[1].limits
    assert images[2].limits == images[3].limits
    assert images[0].values[1][1] == pytest.approx(0, abs=1e-3)


def test_every_figure_is_drawn_with_its_numbers(figures, tmp_path):
    # One of lines, one of points and one of images: drawing takes a second each.
    for name in ("fourier_depth", "lesion", "loss_landscape"):
        figure = figures[name]
        files = save_figure(figure, tmp_path / "figures")
        assert [file.suffix for file in files] == [".png", ".svg", ".csv"]
        assert files[0].read_bytes().startswith(b"\x89PNG")
        assert "<svg" in files[1].read_text()
        with files[2].open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == len(list(figure.rows()))
        drawn = {panel.title for panel in figure.panels}
        assert {row["panel"] for row in rows} == drawn


def test_nothing_measured_is_no_figure():
    assert paper_figures({"net": {"cost": {"input_shape": [1, 3, 8, 8]}}}) == []
