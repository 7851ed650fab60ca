"""Tables with a known truth, for the tests of the rule."""

import numpy as np

from nas.rule.letters import bits_of
from nas.rule.placement_table import PlacementTable
from nas.rule.slot_layout import SlotLayout
from nas.rule.verdict import VerdictDesign
from search_spaces.placement import Placement


def placements(bits, depths):
    ends = np.cumsum(depths)[:-1]
    return tuple(
        Placement(tuple("".join("CM"[int(b)] for b in s) for s in np.split(row, ends)))
        for row in np.asarray(bits)
    )


def table(bits, values, depths, **known):
    return PlacementTable(
        "planted",
        "accuracy",
        placements(bits, depths),
        np.asarray(values, dtype=float),
        **known,
    )


def free_design(rng, num_rows, depths):
    return rng.integers(0, 2, (num_rows, sum(depths)))


def counted_design(rng, num_rows, depths):
    """The paper's family: a number of MSAs per stage, alternating from its end."""
    rows = []
    for _ in range(num_rows):
        counts = [int(rng.integers(0, depth // 2 + 1)) for depth in depths]
        letters = Placement.alternating(depths, counts).letters
        rows.append([c == "M" for c in letters])
    return np.array(rows, dtype=int)


def slots(depths, which):
    """Indices of the last, first, strided, late or final-stage slots."""
    starts = np.cumsum([0, *depths])
    num = len(depths)
    return {
        "last": [end - 1 for end in starts[1:]],
        "first": list(starts[:-1]),
        "strided": list(starts[1:-1]),
        "late": list(range(starts[num - num // 2], starts[-1])),
        "final": list(range(starts[-2], starts[-1])),
    }[which]


def stage_counts(bits, depths):
    ends = np.cumsum(depths)[:-1]
    return np.stack([part.sum(axis=1) for part in np.split(bits, ends, axis=1)], axis=1)


def judged(plant, depths, num_rows, num_tables=200, per_design=5, seed=0, **asked):
    """Verdicts of planted tables, a few responses on each of many uniform designs.

    ``plant(bits, depths)`` gives the truth of each row; the noise has an SD of one.
    Returns the verdicts, ``(num_tables,)``.
    """
    plants = {"alone": plant}
    found = judged_together(
        plants, depths, num_rows, num_tables, per_design, seed, **asked
    )
    return found["alone"]


def judged_together(
    plants, depths, num_rows, num_tables=200, per_design=5, seed=0, **asked
):
    """The same for several plants by name, on the same designs and noise.

    ``strided`` blocks are those of the paper's networks, slots in ``never`` are Conv
    in every row.
    """
    rng = np.random.default_rng(seed)
    noise = asked.pop("noise", lambda rng, bits, size: rng.normal(size=size))
    strided, never = asked.pop("strided", None), asked.pop("never", ())
    found = []
    for _ in range(num_tables // per_design):
        drawn = free_design(rng, num_rows, depths)
        drawn[:, list(never)] = 0
        bits = np.unique(drawn, axis=0).astype(float)
        errors = noise(rng, bits, (len(bits), per_design))
        design = VerdictDesign(bits, SlotLayout(depths, strided))
        responses = [plant(bits, depths)[:, None] + errors for plant in plants.values()]
        verdicts = design.judge(np.concatenate(responses, axis=1), **asked).verdicts
        found.append(np.asarray(verdicts).reshape(len(plants), per_design))
    return dict(zip(plants, np.concatenate(found, axis=1), strict=True))


def judged_letters(plants, depths, num_rows, num_tables=200, letter="M"):
    """Verdicts on placements of C, M, P and S, by plant.

    ``plant(own, filled, depths)`` gives the truth of each row from where the compared
    letter stands and where any letter but C does, ``(rows, slots)`` each.
    """
    rng = np.random.default_rng(0)
    others = sorted({*"MPS"} - {letter})
    found = []
    for _ in range(num_tables // 10):
        letters = rng.choice(list("CMPS"), size=(num_rows, sum(depths)))
        (own,), rest = bits_of(letters, letter), bits_of(letters, others)
        filled = own + sum(rest)
        design = VerdictDesign(own, SlotLayout(depths), other_bits=rest)
        errors = rng.normal(size=(num_rows, 10))
        truths = [plant(own, filled, depths) for plant in plants.values()]
        responses = [truth[:, None] + errors for truth in truths]
        verdicts = design.judge(np.concatenate(responses, axis=1)).verdicts
        found.append(np.asarray(verdicts).reshape(len(plants), 10))
    return dict(zip(plants, np.concatenate(found, axis=1), strict=True))


def of_letters(own=None, filled=None):
    """A truth about the compared letter, and one about any letter but C."""

    def plant(own_bits, filled_bits, depths):
        parts = ((own, own_bits), (filled, filled_bits))
        return sum(one(bits, depths) for one, bits in parts if one is not None)

    return plant


def on_slots(effects_of):
    """A plant that is a sum over slots: ``effects_of(depths)`` gives the effects."""

    def plant(bits, depths):
        return bits @ np.asarray(effects_of(depths), dtype=float)

    return plant


def at(which, size=1.0):
    """MSAs in these slots add so much each."""

    def effects(depths):
        found = np.zeros(sum(depths))
        found[slots(depths, which)] = size
        return found

    return on_slots(effects)


def together(*plants):
    """Several truths at once."""

    def plant(bits, depths):
        return sum(one(bits, depths) for one in plants)

    return plant


def times(factor, plant):
    """A truth made larger, or turned round."""
    return lambda bits, depths: factor * plant(bits, depths)


def stages_disagree(bits, depths):
    """The last slot helps in stage 1 and hurts in the others: 10, -4, -4."""
    last = slots(depths, "last")
    sizes = np.where(np.arange(len(last)) == 0, 2.0, -0.8)
    return bits[:, last] @ sizes


def one_stage(bits, depths):
    return 2.0 * bits[:, slots(depths, "last")[0]]


def trend(bits, depths):
    """The later in the model the better: 2 SD from the first to the last block."""
    return 2 * bits @ np.linspace(0, 1, bits.shape[1])


def neighbours(across):
    """Each adjacent pair of MSAs costs 1 SD, within stages or also across."""

    def plant(bits, depths):
        pairs = bits[:, :-1] * bits[:, 1:]
        stage = np.repeat(np.arange(len(depths)), depths)
        if not across:
            pairs = pairs[:, stage[:-1] == stage[1:]]
        return -pairs.sum(axis=1)

    return plant


def neighbours_by_stage(*sizes):
    """What each adjacent pair of MSAs of the first, second, ... stage adds."""

    def plant(bits, depths):
        pairs = bits[:, :-1] * bits[:, 1:]
        stage = np.repeat(np.arange(len(depths)), depths)
        within = stage[:-1] == stage[1:]
        return (pairs * within) @ np.asarray(sizes, dtype=float)[stage[:-1]]

    return plant


def preceded(size):
    """Each compared block right after one of another letter that is no Conv."""

    def plant(own, filled, depths):
        stage = np.repeat(np.arange(len(depths)), depths)
        pairs = (filled - own)[:, :-1] * own[:, 1:]
        return size * pairs[:, stage[:-1] == stage[1:]].sum(axis=1)

    return plant


def followed(bits, depths):
    """Each MSA that a Conv follows costs 1 SD, within stages and across."""
    return -(bits[:, :-1] * (1 - bits[:, 1:])).sum(axis=1)


def on_blocks(**sizes):
    """The first, the last block of the model, the last of stage 1, so much each."""

    def effects(depths):
        found = np.zeros(sum(depths))
        found[0] = sizes.get("first", 0.0)
        found[-1] = sizes.get("last", 0.0)
        found[depths[0] - 1] += sizes.get("end", 0.0)
        return found

    return on_slots(effects)


def count_curve(bits, depths):
    count = bits.sum(axis=1)
    return 3 * np.minimum(count, 2) - 0.1 * count**2


def saturation(bits, depths):
    """Only the first MSA of a stage counts."""
    return 2.0 * (stage_counts(bits, depths) > 0).sum(axis=1)


def early_level(bits, depths):
    return 1.0 * bits[:, : depths[0]].sum(axis=1)


def middle_level(bits, depths):
    half = len(depths) // 2
    start = sum(depths[:half])
    return 1.0 * bits[:, start : start + depths[half]].sum(axis=1)


END = at("last")
START = at("first")

RIVALS = {
    "nothing": times(0, END),
    "late half of the stages, 1 SD in each slot": at("late"),
    "stages disagree: last slots +2, -0.8, -0.8 SD": stages_disagree,
    "the last slot of stage 1 alone, 2 SD": one_stage,
    "the very last block alone, 2 SD": on_blocks(last=2.0),
    "edges: first = last = 1 SD": together(END, START),
    "first 2 SD, last 1 SD": together(END, times(2, START)),
    "all first blocks bad, -1 SD": times(-1, START),
    "strided first blocks bad, -2 SD": at("strided", -2.0),
    "trend over depth, 2 SD": trend,
    "trend and strided penalty": together(trend, at("strided", -2.0)),
    "adjacent MSAs penalised within stages": neighbours(False),
    "adjacent MSAs penalised, also across stages": neighbours(True),
    "an MSA followed by a Conv hurts": followed,
    "harmful everywhere, last least: -1, -1, -0.5 SD": together(
        on_slots(lambda depths: -np.ones(sum(depths))), at("last", 0.5)
    ),
    "curve over the MSA count": count_curve,
    "only the first MSA of a stage counts": saturation,
}
"""Truths that are not the rule; each may be read as support in 5% of tables."""

MIXTURES = {
    "a bad first and a good last block of the model": on_blocks(first=-1.0, last=2.0),
    "trend and the very last block": together(trend, on_blocks(last=2.0)),
    "trend and stage 1 alone": together(trend, on_blocks(end=2.0)),
    "trend and edges": together(trend, END, START),
    "neighbours and stage 1 alone": together(neighbours(False), on_blocks(end=2.0)),
    "followed by a Conv, and trend": together(followed, trend),
    "followed by a Conv, and edges": together(followed, END, START),
    "trend, strides and neighbours": together(
        trend, at("strided", -2.0), neighbours(True)
    ),
    "late stages and strides": together(at("late"), at("strided", -2.0)),
    "stage 1 alone and strides": together(one_stage, at("strided", -2.0)),
    "edges and strides": together(END, START, at("strided", -3.0)),
    "edges, strides and late stages": together(
        END, START, at("strided", -3.0), at("late")
    ),
    "edges and neighbours": together(END, START, neighbours(False)),
    "trend, strides and a good first stage": together(
        trend, at("strided", -2.0), early_level
    ),
    "trend, strides and a good middle stage": together(
        trend, at("strided", -2.0), middle_level
    ),
    "disagreeing stages, strides and neighbours": together(
        stages_disagree, at("strided", -2.0), neighbours(True)
    ),
    "curve, saturation and strides": together(
        count_curve, saturation, at("strided", -2.0)
    ),
    "neighbours welcome across stages, strides": together(
        at("strided", -2.0), times(-1, neighbours(True)), neighbours(False)
    ),
}
"""Several rivals at once."""

LETTER_RIVALS = {
    "nothing of it, another letter's end rule": lambda own, filled, depths: END(
        filled - own, depths
    ),
    "neighbours of any letter": of_letters(None, neighbours(False)),
    "neighbours of any letter, and stage 1 alone": of_letters(
        on_blocks(end=2.0), neighbours(False)
    ),
    "neighbours of any letter twice, and stage 1 alone": of_letters(
        on_blocks(end=4.0), times(2, neighbours(False))
    ),
    "neighbours of any letter, a bad first and a good last block": of_letters(
        on_blocks(first=-1.0, last=2.0), neighbours(False)
    ),
    "neighbours of any letter across stages, and edges": of_letters(
        together(END, START), neighbours(True)
    ),
    "any letter followed by a Conv": of_letters(None, followed),
    "curve over the count of any letter, edges and strides": of_letters(
        together(END, START, at("strided", -2.0)), count_curve
    ),
    "trend and edges": of_letters(together(trend, END, START)),
    "an MSA after another letter helps, and edges": lambda own, filled, depths: (
        preceded(2.0)(own, filled, depths) + together(END, START)(own, depths)
    ),
    "an MSA after another letter helps, trend and edges": lambda own, filled, depths: (
        preceded(2.0)(own, filled, depths) + together(trend, END, START)(own, depths)
    ),
}
"""Truths of placements of four letters that are not the rule."""


def noises(depths):
    """Noise that is neither equal nor normal, by name: ``noise(rng, bits, size)``."""
    last = slots(depths, "last")

    def spread(sizes):
        """Normal noise of a size that depends on the placement."""
        return lambda rng, bits, size: sizes(bits)[:, None] * rng.normal(size=size)

    def collapse(chances, drop=60.0):
        """Noise of 1 SD and trainings that collapse."""

        def noise(rng, bits, size):
            fell = rng.random(size) < chances(bits)[:, None]
            return rng.normal(size=size) - drop * fell

        return noise

    def everywhere(chance):
        return lambda bits: np.full(len(bits), chance)

    def whole(bits):
        return bits[:, : depths[0]].min(axis=1)

    return {
        "SD 1, or 5 with an M at any end": spread(
            lambda bits: 1 + 4 * bits[:, last].max(axis=1)
        ),
        "SD 0.5 + number of Ms at ends": spread(
            lambda bits: 0.5 + bits[:, last].sum(axis=1)
        ),
        "SD 1, or 8 with an M at every end": spread(
            lambda bits: 1 + 7 * bits[:, last].min(axis=1)
        ),
        "SD times 1.4 with each M": spread(
            lambda bits: 1.4 ** (bits.sum(axis=1) - bits.shape[1] / 2)
        ),
        "SD divided by 1.4 with each M": spread(
            lambda bits: 1.4 ** (bits.shape[1] / 2 - bits.sum(axis=1))
        ),
        "SD by the number of Ms in stage 1": spread(
            lambda bits: 0.2 + 0.7 * bits[:, : depths[0]].sum(axis=1)
        ),
        "SD by the number of Ms in the last stage": spread(
            lambda bits: 0.2 + 0.7 * bits[:, -depths[-1] :].sum(axis=1)
        ),
        "SD 0.1, or 2 with an M at the end of stage 1": spread(
            lambda bits: 0.1 + 1.9 * bits[:, depths[0] - 1]
        ),
        "SD by the number of adjacent Ms": spread(
            lambda bits: 0.2 + 0.5 * (bits[:, 1:] * bits[:, :-1]).sum(axis=1)
        ),
        "SD 1, or 8 if stage 1 is all M": spread(lambda bits: 1 + 7 * whole(bits)),
        "collapse by 60 SD in 1%": collapse(everywhere(0.01)),
        "collapse by 60 SD in 5%": collapse(everywhere(0.05)),
        "collapse by 5 SD in 5%": collapse(everywhere(0.05), 5.0),
        "collapse by 60 SD, 0.5% for each M": collapse(
            lambda bits: 0.005 * bits.sum(axis=1)
        ),
        "collapse by 60 SD, 0.2% times the number of Ms squared": collapse(
            lambda bits: 0.002 * bits.sum(axis=1) ** 2
        ),
        "collapse by 60 SD in 8% if stage 1 is all M": collapse(
            lambda bits: 0.08 * whole(bits)
        ),
        "Cauchy": lambda rng, bits, size: rng.standard_cauchy(size),
        "t(2)": lambda rng, bits, size: rng.standard_t(2, size=size),
        "log-normal, sigma 1": lambda rng, bits, size: rng.lognormal(size=size),
        "log-normal, sigma 2": lambda rng, bits, size: (
            rng.lognormal(0, 2, size=size) / 3
        ),
        "the same, to the other side": lambda rng, bits, size: (
            -rng.lognormal(0, 2, size=size) / 3
        ),
    }
