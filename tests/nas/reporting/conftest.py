import pytest

from nas.reporting import content, forecast
from nas.study.study import Study


@pytest.fixture(autouse=True)
def no_predictions_without_a_directory(monkeypatch):
    """Studies in memory have no space to predict: their few placements are told."""

    def found(study):
        if isinstance(study, Study) or len(study.trials()) < forecast.MIN_PLACEMENTS:
            return forecast.forecast(study)
        return {"reason": "a study in memory"}

    monkeypatch.setattr(content, "forecast", found)
