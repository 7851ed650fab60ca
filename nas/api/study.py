"""A study as people use it in Python: everything the commands do is a method."""

import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.html_table import html_table
from nas.ledger.trial import Trial
from nas.pareto.table import ParetoTable, parse_axes, parse_axis
from nas.study import study as reading
from nas.study.study import read_settings
from search_spaces.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from nas.pareto.front import ParetoFront
    from nas.prediction.prediction import Prediction
    from nas.prediction.score_agreement import ScoreAgreement
    from nas.rule.rule_test import RuleTest


class Study(reading.Study):
    """A search that runs, was interrupted or is finished.

    Reading is safe while the search runs. Nothing that a study names is imported by
    reading it.

    Args:
        path: The study directory.

    Raises:
        InputError: It is not a study, or one of another format.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        directory = Path(path)
        super().__init__(directory, read_settings(directory))

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> "Study":
        """The same as ``Study(path)``."""
        return cls(path)

    def table(self) -> "pd.DataFrame":
        """One row per trial, as in trials.csv, and what is known besides.

        Returns:
            The columns of trials.csv, test values included once the test images have
            been looked at; ``<metric>_se``, the standard error of each sampled metric;
            ``is_pareto`` among the complete trials under the study's objectives.
        """
        import pandas as pd

        frame = super().table()
        trials = self.trials()
        sampled = {name for trial in trials for name in trial.standard_errors}
        for name in [n for n in frame.columns if n in sampled]:
            errors = [t.standard_errors.get(name, float("nan")) for t in trials]
            place = list(frame.columns).index(name) + 1
            frame.insert(place, f"{name}_se", pd.Series(errors, dtype="float64"))
        on_front = {trial.number for trial in self._front_trials()}
        frame["is_pareto"] = frame["number"].isin(on_front)
        return frame

    def front(self, metrics: Sequence[str] = ()) -> "ParetoFront":
        """The trials that nothing beats.

        Args:
            metrics: Axes, ``name`` or ``name:direction``; the objectives if empty.

        Returns:
            The values of the complete trials, and which are on the front.

        Raises:
            InputError: A metric is not known.
        """
        return self._pareto_table(metrics).front

    def best(self, metric: str | None = None) -> Trial:
        """The complete trial with the best value of one metric.

        Args:
            metric: ``name`` or ``name:direction``; the first objective if ``None``.

        Raises:
            InputError: The metric is not known, or no trial is complete.
        """
        axis = self.objectives[0]
        if metric is not None:
            axis = parse_axis(metric, self.objectives, self.metric_facts)
        on_front = ParetoTable.of(self, [axis]).on_front
        if not on_front:
            raise InputError(f"study {self.name!r} has no complete trial yet")
        return on_front[0]

    def plot(
        self, path: str | os.PathLike[str] = "", metrics: Sequence[str] = ()
    ) -> Any:
        """Draw the Pareto front.

        Args:
            path: File to write (.png, .svg, .pdf); shown in a notebook if empty.
            metrics: Axes; the objectives if empty.

        Returns:
            The path that was written, or an image that a notebook shows.

        Raises:
            InputError: A metric is not known or the file cannot be written.
        """
        from nas.figures.front import draw, front_figure

        figure = front_figure([self._pareto_table(metrics)])
        if path:
            draw(figure, Path(path))
            return Path(path)
        from tempfile import TemporaryDirectory

        with TemporaryDirectory() as directory:
            file = Path(directory) / "front.png"
            draw(figure, file)
            return PNG(file.read_bytes())

    def rule(self, metric: str | None = None, letter: str = "M") -> "RuleTest":
        """Test whether blocks of a kind belong at the end of a stage.

        Args:
            metric: The metric; ``accuracy`` if ``None``.
            letter: The kind that is compared with Conv blocks.

        Raises:
            InputError: The study has too few trials or no such metric.
        """
        from nas.rule.rule_test import rule_test

        return rule_test(self.path, metric or "accuracy", letter=letter)

    def predict(self, metric: str | None = None, **options: Any) -> "Prediction":
        """Predict every placement of the space, the untrained ones included.

        Args:
            metric: The metric; the first objective if ``None``.
            **options: As for :func:`nas.predict`.
        """
        from nas.prediction.prediction import predict

        return predict(self, metric, **options)

    def score_agreement(
        self, scores: str | os.PathLike[str] | None = None, metric: str | None = None
    ) -> "ScoreAgreement":
        """Compare scores with what was measured, as ``nas agreement`` does.

        Args:
            scores: A study or a table; the first step of a search in two steps if
                ``None``.
            metric: What was measured; the first objective if ``None``.

        Raises:
            InputError: There are no scores of its placements.
        """
        from nas.prediction.score_agreement import score_agreement

        known = None if scores is None else Path(scores)
        return score_agreement(self, known, metric=metric)

    def report(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Write the study as one self-contained HTML page.

        Args:
            path: The file; ``report.html`` in the study if ``None``.

        Raises:
            InputError: The file cannot be written.
        """
        from nas.reporting.page import write_report

        file = self.path / "report.html" if path is None else Path(path)
        return write_report(self, file)

    def export(
        self,
        which: int | str = "best",
        *,
        to: str | os.PathLike[str],
        formats: Sequence[str] = ("yaml", "safetensors"),
        force: bool = False,
        quantize: bool = False,
        license: str = "",
        plugins: Sequence[str] = (),
    ) -> list[Path]:
        """Write models that run without the search.

        Args:
            which: A trial number, ``best`` or ``pareto``.
            to: Directory.
            formats: Any of yaml, safetensors, onnx, pt2, timm.
            force: Replace an earlier export.
            quantize: Also write the ONNX graph in 8-bit integers, and measure it.
            license: Licence of the weights, for the model card.
            plugins: Modules of yours whose functions make the parent.

        Returns:
            The directory of each model.

        Raises:
            InputError: The trial, a format or the directory does not allow it.
        """
        from nas.exporting.exporter import export
        from nas.exporting.format import Format
        from nas.scoring.trial_network import trial_network

        known = [str(one) for one in Format]
        for name in formats:
            if name not in known:
                raise InputError(f"formats are {', '.join(known)}; got {name!r}")
        return export(
            self,
            str(which),
            Path(to),
            [Format(f) for f in formats],
            force=force,
            quantize=quantize,
            license=license,
            plugins=plugins,
            network_of=trial_network,
        )

    def _pareto_table(self, metrics: Sequence[str]) -> ParetoTable:
        if not metrics:
            return ParetoTable.of(self)
        axes = parse_axes(",".join(metrics), self.objectives, self.metric_facts)
        return ParetoTable.of(self, axes)

    def _front_trials(self) -> list[Trial]:
        table = ParetoTable.of(self)
        flags = table.front.is_pareto
        return [trial for trial, on in zip(table.trials, flags, strict=True) if on]

    def __repr__(self) -> str:
        return f"Study({str(self.path)!r}): {len(self.trials())} trials"

    def _repr_html_(self) -> str:
        """The front as a table, for notebooks."""
        table = ParetoTable.of(self)
        shown = ["number", "placement", *(o.metric for o in self.objectives)]
        rows = [row for row in table.rows() if row["is_pareto"]]
        return (
            f"<p><b>{escape(self.name)}</b>: {len(table.trials)} of {self.num_trials} "
            "trials complete; on the front:</p>"
            + html_table(shown, [[row.get(name) for name in shown] for row in rows])
        )


class PNG:
    """A picture that notebooks show.

    Attributes:
        data: The bytes of the PNG file.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data

    def _repr_png_(self) -> bytes:
        return self.data
