"""What a search will take: hours, GPU hours and disk, from two measured trainings.

The cheapest and the dearest placement of the space were each trained for a part of an
epoch and measured once by every evaluator. A training of another placement is taken to
lie on the line through both, by MACs. The range is that of a search that trains nothing
but the cheapest, and nothing but the dearest.

The same number is the first estimate of the time left (:mod:`nas.study.remaining_time`)
of a study that keeps it.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from nas.ledger.atomic_file import write_atomically
from nas.ledger.regular_file import read_regular
from nas.study.remaining_time import Expected, duration_text, remaining_seconds


@dataclass(frozen=True)
class MeasuredPlacement:
    """What was measured of one placement.

    Attributes:
        placement: The placement.
        macs: Multiply-accumulates of one image.
        epoch_s: Seconds of the steps of an epoch: the least, the median and the most
            of its measured parts, each scaled to a whole epoch.
        validation_s: Seconds of looking at the validation images, all looks of a
            training together.
        evaluators: Seconds of each evaluator.
        start_s: Seconds until the first step.
        disk_bytes: What a training leaves in the study.
        checkpoint_bytes: What it keeps besides while it runs.
    """

    placement: str
    macs: int
    epoch_s: tuple[float, float, float]
    validation_s: float
    evaluators: Mapping[str, float]
    start_s: float
    disk_bytes: int
    checkpoint_bytes: int

    def seconds(self, epochs: float) -> tuple[float, float, float]:
        """Seconds of a training by the least, median and most of the measured parts.

        Args:
            epochs: How many; a mean of several trainings may be a fraction.
        """
        fixed = self.start_s + self.validation_s + sum(self.evaluators.values())
        low, middle, high = (fixed + epochs * one for one in self.epoch_s)
        return low, middle, high


@dataclass(frozen=True)
class Range:
    """A number with the least and the most that it may be."""

    expected: float
    low: float
    high: float

    def times(self, factor: float) -> "Range":
        """The range of a multiple."""
        return Range(self.expected * factor, self.low * factor, self.high * factor)


@dataclass(frozen=True)
class LaunchCost:
    """What a search will take.

    Attributes:
        trials: Trainings.
        at_once: How many run side by side.
        epochs: Epochs of a training that is not stopped.
        mean_epochs: Mean over trainings, fewer if weak ones are stopped early.
        mean_macs: Mean MACs of the placements of the space.
        cheapest: The placement of the fewest MACs.
        dearest: That of the most.
        gpus_per_trial: GPUs of a training.
        cpus_per_trial: CPUs of a training.
        time_limit_s: After which no training is begun, or ``None``.
        device: Where it was measured.
        notes: What is not in the numbers, in sentences.
    """

    trials: int
    at_once: int
    epochs: int
    mean_epochs: float
    mean_macs: float
    cheapest: MeasuredPlacement
    dearest: MeasuredPlacement
    gpus_per_trial: float
    cpus_per_trial: float
    time_limit_s: float | None
    device: str
    notes: tuple[str, ...] = field(default=())

    @property
    def trial_seconds(self) -> Range:
        """Seconds of one training."""
        cheap, dear = (
            one.seconds(self.mean_epochs) for one in (self.cheapest, self.dearest)
        )
        full = max(one.seconds(self.epochs)[2] for one in (self.cheapest, self.dearest))
        expected = self._between(cheap[1], dear[1])
        return Range(
            expected, min(cheap[0], dear[0], expected), max(full, dear[2], expected)
        )

    @property
    def expected(self) -> Expected:
        """The first estimate of the time left, for a study that begins."""
        return Expected(self.trial_seconds.expected, self.at_once)

    @property
    def seconds(self) -> Range:
        """Seconds of the whole search."""
        each = self.trial_seconds
        found = [
            remaining_seconds((), (), self.trials, Expected(one, self.at_once)) or 0.0
            for one in (each.expected, each.low, each.high)
        ]
        if self.time_limit_s is not None:
            # A training that was begun in time is finished.
            found = [
                min(one, self.time_limit_s + longest)
                for one, longest in zip(
                    found, (each.expected, each.low, each.high), strict=True
                )
            ]
        return Range(*found)

    @property
    def gpu_hours(self) -> Range:
        """Hours of reserved GPUs."""
        return self._reserved(self.gpus_per_trial)

    @property
    def cpu_hours(self) -> Range:
        """Hours of reserved CPUs."""
        return self._reserved(self.cpus_per_trial)

    @property
    def disk_bytes(self) -> Range:
        """Bytes of the study directory, checkpoints of running trainings included."""
        cheap, dear = (
            self.trials * one.disk_bytes
            + min(self.at_once, self.trials) * one.checkpoint_bytes
            for one in (self.cheapest, self.dearest)
        )
        # By parameters, which do not rise with MACs.
        return Range((cheap + dear) / 2, min(cheap, dear), max(cheap, dear))

    def _between(self, cheap: float, dear: float) -> float:
        span = self.dearest.macs - self.cheapest.macs
        share = (self.mean_macs - self.cheapest.macs) / span if span > 0 else 0.5
        return cheap + min(max(share, 0.0), 1.0) * (dear - cheap)

    def _reserved(self, each: float) -> Range:
        """Hours of what trainings reserve, while they run."""
        whole = self.trial_seconds.times(self.trials * each / 3600)
        if self.time_limit_s is None:
            return whole
        most = self.seconds.times(min(self.at_once, self.trials) * each / 3600)
        return Range(
            min(whole.expected, most.expected),
            min(whole.low, most.low),
            min(whole.high, most.high),
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data for JSON."""
        return {
            **{
                name: asdict(getattr(self, name))
                for name in (
                    "seconds",
                    "trial_seconds",
                    "gpu_hours",
                    "cpu_hours",
                    "disk_bytes",
                )
            },
            **asdict(self),
        }

    def lines(self) -> list[str]:
        """For people."""
        each, whole = self.trial_seconds, self.seconds
        limit = " (search.time_limit_s included)" if self.time_limit_s else ""
        at_once = min(self.at_once, self.trials)
        side = "one after another" if at_once == 1 else f"{at_once} at once"
        many = (
            f"{self.trials} trainings, {side}, of"
            if self.trials > 1
            else "1 training of"
        )
        found = [
            f"time         {_span(whole, duration_text)}{limit}: {many} "
            f"{_span(each, duration_text)}{' each' if self.trials > 1 else ''}",
            f"GPU hours    {_span(self.gpu_hours, _number)}; "
            f"CPU hours {_span(self.cpu_hours, _number)}",
            f"disk         {_span(self.disk_bytes, _bytes)}",
        ]
        for what, one in (("cheapest", self.cheapest), ("dearest", self.dearest)):
            evaluators = ", ".join(
                f"{name} {_short(seconds)}"
                for name, seconds in sorted(
                    one.evaluators.items(), key=lambda item: -item[1]
                )
            )
            found.append(
                f"  {what:<9}  {one.placement}: {_short(one.epoch_s[1])} an epoch, "
                f"validation {_short(one.validation_s)}"
                + (f", {evaluators}" if evaluators else "")
            )
        found.append(
            f"  measured on {self.device}; the range is from all cheapest to all "
            "dearest"
        )
        return found + [f"  {note}" for note in self.notes]

    def write(self, path: Path) -> None:
        """Keep it in a file.

        Args:
            path: The file.

        Raises:
            OSError: It cannot be written.
        """
        write_atomically(path, json.dumps(asdict(self), indent=1))

    @classmethod
    def read(cls, path: Path) -> "LaunchCost | None":
        """What a file holds, ``None`` if it is not there or is damaged.

        Args:
            path: The file.
        """
        try:
            data = dict(json.loads(read_regular(path)))
            for name in ("cheapest", "dearest"):
                one = {**data[name], "evaluators": dict(data[name]["evaluators"])}
                one["epoch_s"] = tuple(float(s) for s in one["epoch_s"])
                data[name] = MeasuredPlacement(**one)
            found = cls(**{**data, "notes": tuple(data["notes"])})
            if not all(0 <= s < float("inf") for s in asdict(found.seconds).values()):
                return None
        except (
            OSError,
            ValueError,
            TypeError,
            LookupError,
            ArithmeticError,
            AttributeError,
        ):
            return None
        return found


def _span(value: Range, text: Any) -> str:
    middle, low, high = (text(one) for one in (value.expected, value.low, value.high))
    return middle if low == high else f"{middle} ({low} to {high})"


def _short(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds < 10 else duration_text(seconds)


def _number(value: float) -> str:
    return f"{value:.2g}" if value < 10 else f"{value:,.0f}"


def _bytes(value: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} TB"
