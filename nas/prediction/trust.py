"""How far a prediction can be trusted, measured on the placements that were trained."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import stats

from nas.prediction.features import Features
from nas.prediction.linear_model import LinearModel
from nas.study.reliability import rank_ceiling

Floats = npt.NDArray[np.float64]

_WIDTH = float(stats.norm.ppf(0.975))

_RESAMPLES = 400
"""Bootstrap samples of a rank correlation (our choice)."""

_LARGE = 1_000
"""Placements from which a quarter of the samples must do: each takes a while, and the
interval is narrow."""


@dataclass(frozen=True)
class RankAgreement:
    """Agreement of two orders.

    Attributes:
        kendall: Kendall's tau-b.
        kendall_low: Lower end of its 95% bootstrap interval over placements.
        kendall_high: Upper end.
        spearman: Spearman's rho.
    """

    kendall: float
    kendall_low: float
    kendall_high: float
    spearman: float


@dataclass(frozen=True)
class Ceiling:
    """What a perfect prediction would reach, given the noise of single trainings.

    Attributes:
        kendall: Kendall's tau.
        kendall_low: Lower end of its 95% interval, from that of the noise.
        kendall_high: Upper end.
        spearman: Spearman's rho.
        r2: Share of the variance of the measured means that is not noise.
    """

    kendall: float
    kendall_low: float
    kendall_high: float
    spearman: float
    r2: float


@dataclass(frozen=True)
class Trust:
    """How far to trust the prediction of placements that were not trained.

    Attributes:
        left_out: Agreement of each trained placement's mean with its prediction
            without its own trainings.
        coverage: Share of 95% intervals of such predictions that hold the mean.
        ceiling: What noise allows; ``None`` if no placement was trained twice.
        trivial: Agreement of predictors that need no model, by name.
        additive_r2: Adjusted R2 of slots alone; ``None`` with too few placements.
        additive_share: The same over what noise allows.
        within: Agreement of the trivial predictors among placements with equal numbers
            of blocks of each kind: what is more than counting.
    """

    left_out: RankAgreement
    coverage: float
    ceiling: Ceiling | None
    trivial: Mapping[str, RankAgreement]
    additive_r2: float | None
    additive_share: float | None
    within: Mapping[str, RankAgreement] = field(default_factory=dict)

    @property
    def best_trivial(self) -> tuple[str, float] | None:
        """The trivial predictor that agrees best, and its tau without the sign."""
        if not self.trivial:
            return None
        name = max(self.trivial, key=lambda one: abs(self.trivial[one].kendall))
        return name, abs(self.trivial[name].kendall)

    def sentence(self) -> str:
        """How far to trust the prediction, in one sentence."""
        tau = self.left_out
        agreement = (
            f"Kendall tau {tau.kendall:.2f} [{tau.kendall_low:.2f}, "
            f"{tau.kendall_high:.2f}] against what was measured"
        )
        ceiling = (
            f"seed noise allows {self.ceiling.kendall:.2f}"
            if self.ceiling
            else "what seed noise allows is unknown, for no placement was trained twice"
        )
        rival = self.best_trivial
        beside = f"{rival[0]} alone reaches {rival[1]:.2f}" if rival else ""
        if tau.kendall_low <= 0:
            return (
                "Do not trust the order: placements left out of the model are ranked "
                f"no better than by chance ({agreement}); {ceiling}."
            )
        if rival is not None and rival[1] >= tau.kendall:
            return (
                f"The order is worth no more than that by {rival[0]}, which reaches "
                f"{rival[1]:.2f}: placements left out of the model are ranked at "
                f"{agreement}; {ceiling}."
            )
        return (
            f"Placements left out of the model are ranked at {agreement}; "
            + ", ".join(filter(None, [ceiling, beside]))
            + "."
        )


def assess(
    model: LinearModel,
    features: Features,
    codes: npt.NDArray[np.int64],
    trivial: Mapping[str, Floats],
    seed: int = 0,
    within: Sequence[Hashable] | None = None,
) -> Trust:
    """Measure how well left-out placements are predicted.

    Args:
        model: The fitted model.
        features: Its feature map.
        codes: The trained placements, in the order of the model's observations.
        trivial: Values of other predictors for them, by name; gaps are NaN.
        seed: Of the bootstrap.
        within: Of each placement, what those that are compared with it have in common.

    Returns:
        The assessment.
    """
    data = model.observations
    rng = np.random.default_rng(seed)
    means, deviations = model.leave_one_out()
    inside = np.abs(data.means - means) <= _WIDTH * deviations
    total = float(data.means.sum())
    # Leaving out a high value lowers the mean of the others: against that mean, or pure
    # noise would be ranked upside down.
    others = (total - data.means) / (len(data.means) - 1)
    agreements, parts = {}, {}
    for name, values in trivial.items():
        there = np.isfinite(values)
        if there.sum() <= 2 or np.ptp(values[there]) == 0:
            continue
        agreements[name] = rank_agreement(values[there], data.means[there], rng)
        if within is not None and len(data.means) <= _LARGE:
            groups = [one for one, known in zip(within, there, strict=True) if known]
            part = agreement_within(values[there], data.means[there], groups, rng)
            if part is not None:
                parts[name] = part
    ceiling = _ceiling(model)
    r2 = _additive_r2(features, codes, data.means)
    share = None
    if r2 is not None and ceiling is not None and ceiling.r2 > 0:
        share = r2 / ceiling.r2
    return Trust(
        rank_agreement(means - others, data.means, rng),
        float(inside.mean()),
        ceiling,
        agreements,
        r2,
        share,
        parts,
    )


def rank_agreement(
    left: Floats, right: Floats, rng: np.random.Generator
) -> RankAgreement:
    """Rank correlations with a bootstrap interval over the rows.

    Args:
        left: One value a row.
        right: The same.
        rng: Of the bootstrap.

    Returns:
        The agreement; zero where one side does not vary.
    """
    low, high = np.quantile(_bootstrap(left, right, rng), (0.025, 0.975)).tolist()
    rho = float(stats.spearmanr(left, right)[0]) if _varies(left, right) else 0.0
    return RankAgreement(_kendall(left, right), low, high, rho)


def agreement_within(
    left: Floats,
    right: Floats,
    groups: Sequence[Hashable],
    rng: np.random.Generator,
) -> RankAgreement | None:
    """Rank correlations among rows of one group, all groups together.

    Kendall's tau-b over the pairs within groups; Spearman's rho of the ranks within
    each group about their means.

    Args:
        left: One value a row.
        right: The same.
        groups: The group of each row.
        rng: Of the bootstrap, over rows.

    Returns:
        The agreement; ``None`` if no group has rows that differ on both sides.
    """
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    labels = np.array([numbers[group] for group in groups])
    same = labels[:, None] == labels
    ranks = np.zeros((2, len(left)))
    for number in range(len(numbers)):
        rows = labels == number
        for side, values in enumerate((left, right)):
            own = stats.rankdata(values[rows])
            ranks[side, rows] = own - own.mean()
    norm = float(np.sqrt((ranks[0] ** 2).sum() * (ranks[1] ** 2).sum()))
    if norm == 0:
        return None
    draws = _bootstrap(left, right, rng, same)
    low, high = np.quantile(draws, (0.025, 0.975)).tolist()
    tau = float(_tau(left, right, np.ones((1, len(left))), same)[0])
    return RankAgreement(tau, low, high, float((ranks[0] * ranks[1]).sum()) / norm)


def _bootstrap(
    left: Floats,
    right: Floats,
    rng: np.random.Generator,
    pairs: npt.NDArray[np.bool_] | None = None,
) -> Floats:
    """Kendall's tau-b of resampled rows, over all pairs or some."""
    num = len(left)
    if num > _LARGE and pairs is None:
        draws = (rng.integers(0, num, num) for _ in range(_RESAMPLES // 4))
        return np.array([_kendall(left[rows], right[rows]) for rows in draws])
    # All pairs at once: a row that was drawn k times has weight k.
    weights = rng.multinomial(num, np.full(num, 1 / num), _RESAMPLES).astype(float)
    return _tau(left, right, weights, pairs)


def _tau(
    left: Floats,
    right: Floats,
    weights: Floats,
    pairs: npt.NDArray[np.bool_] | None = None,
) -> Floats:
    """Kendall's tau-b of weighted rows, ``(draws,)`` for weights ``(draws, rows)``."""
    order_left = np.sign(left[:, None] - left)
    order_right = np.sign(right[:, None] - right)
    if pairs is not None:
        order_left, order_right = order_left * pairs, order_right * pairs

    def over_pairs(values: Floats) -> Floats:
        return np.asarray(((weights @ values) * weights).sum(axis=1))

    norm = over_pairs(order_left**2) * over_pairs(order_right**2)
    agreement = over_pairs(order_left * order_right)
    return np.asarray(agreement / np.sqrt(np.where(norm > 0, norm, 1.0)))


def _kendall(left: Floats, right: Floats) -> float:
    return float(stats.kendalltau(left, right)[0]) if _varies(left, right) else 0.0


def _varies(*columns: Floats) -> bool:
    return all(float(np.ptp(column)) > 0 for column in columns)


def _ceiling(model: LinearModel) -> Ceiling | None:
    data = model.observations
    return noise_ceiling(data.means, data.counts, data.within, data.degrees)


def noise_ceiling(
    means: Floats, counts: Floats, within: float, degrees: float
) -> Ceiling | None:
    """What a perfect prediction of measured means would reach.

    Args:
        means: Mean of each placement over its trainings.
        counts: Number of its trainings.
        within: Sum of squares of trainings about the mean of their placement.
        degrees: Its degrees of freedom.

    Returns:
        The ceiling; ``None`` if no placement was trained twice or the means are equal.
    """
    measured = float(means.var(ddof=1)) if len(means) > 1 else 0.0
    if not degrees or measured <= 0:
        return None
    pure = within / degrees
    # exact chi-square interval of the noise
    quantiles = stats.chi2.ppf((0.5, 0.975, 0.025), degrees)
    noises = (pure, within / quantiles[1], within / quantiles[2])
    shares = [1 - noise * float((1 / counts).mean()) / measured for noise in noises]
    (tau, rho), (high, _), (low, _) = map(rank_ceiling, shares)
    return Ceiling(tau, low, high, rho, max(shares[0], 0.0))


def _additive_r2(
    features: Features, codes: npt.NDArray[np.int64], means: Floats
) -> float | None:
    design = features.slots(codes)
    design = np.concatenate([np.ones((len(design), 1)), design], axis=1)
    rank = int(np.linalg.matrix_rank(design))
    num = len(means)
    if num <= rank + 1:
        return None
    fitted = design @ np.linalg.lstsq(design, means, rcond=None)[0]
    error = float(((means - fitted) ** 2).sum()) / (num - rank)
    return 1 - error / float(means.var(ddof=1))
