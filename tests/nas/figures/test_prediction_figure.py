import numpy as np
import pytest
from prediction_plants import NINE, additive, table

from nas.figures.prediction import draw, prediction_figure
from nas.prediction.prediction import predict
from search_spaces.errors import InputError


def test_the_figure_shows_left_out_values_and_the_band_of_the_noise(tmp_path):
    rng = np.random.default_rng(0)
    truth, _ = additive(NINE, rng)
    prediction = predict(table(truth, rng, 50, 0.5, replicates=2))
    figure = prediction_figure(prediction)
    assert len(figure.predicted) == len(figure.measured) == 50
    assert figure.noise == pytest.approx(1.96 * 0.5 / np.sqrt(2), rel=0.25)
    assert figure.trained.sum() == np.isfinite(figure.ranked_measured).sum()
    assert (figure.low < figure.ranked).all()
    for suffix in ("png", "svg"):
        draw(figure, tmp_path / f"figure.{suffix}")
        assert (tmp_path / f"figure.{suffix}").stat().st_size > 1000
    with pytest.raises(InputError, match="figure file ends in"):
        draw(figure, tmp_path / "figure.txt")
