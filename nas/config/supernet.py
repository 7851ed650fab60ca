"""The options of scoring kind ``supernet``: how supernets are trained and read."""

from typing import Literal

from pydantic import Field

from nas.config.section import Section


class SupernetConfig(Section):
    """How supernets are trained and placements read off them.

    Attributes:
        supernets: How many, with the seeds ``seed``, ``seed + 1``, ...: rows of one
            supernet share its luck. Our choice: the fewest whose scatter can be seen.
        epochs: Passes over the training images; ``None``: three times
            ``training.epochs``.
        arrangement: ``pairs`` trains a random placement and its complement at every
            step (with more letters as many placements, in a Latin arrangement), so that
            every block learns at every step; ``single`` one random placement.
        batchnorm: Statistics of the BatchNorms of each placement: ``augmented`` are
            averaged over augmented training images, ``plain`` over images as they are,
            ``kept`` are those that training left.
        calibration_images: Training images behind these statistics. As in the trial
            that the defaults come from.
        images: Validation images of a score; ``None`` for all. A score is a mean over
            the same images for all placements, so differences are known better than
            the values.
        averaging: Decay per step of the moving average of the weights; ``None``: that
            of ``training``. 0 is off.
        weight_decay: ``None``: that of ``training``.
        score: What placements are ranked by in place of an objective ``accuracy``:
            ``nll`` ranked better than ``accuracy``, whose steps are coarse
            (benchmarks/README.md).
        path: Directory of supernets that are trained already (``nas supernet``);
            ``None``: the directory ``supernets`` of the study.
    """

    supernets: int = Field(default=3, ge=1, le=100)
    epochs: int | None = Field(default=None, ge=1)
    arrangement: Literal["pairs", "single"] = "pairs"
    batchnorm: Literal["augmented", "plain", "kept"] = "augmented"
    calibration_images: int = Field(default=2000, ge=2)
    images: int | None = Field(default=2500, ge=2)
    averaging: float | None = Field(default=None, ge=0, lt=1)
    weight_decay: float | None = Field(default=None, ge=0)
    score: Literal["nll", "accuracy"] = "nll"
    path: str | None = None
