"""Tables with a known truth, for the tests of the prediction."""

import numpy as np
import pandas as pd

from nas.prediction.slot_space import SlotSpace


def all_placements(space):
    return [p for codes in space.enumerate() for p in space.decode(codes)]


def additive(space, rng, scale=1.0):
    """The metric of every placement, a sum over slots; its placements too."""
    effects = [rng.normal(0, scale, len(choices)) for choices in space.letters]
    codes = np.concatenate(list(space.enumerate()))
    truth = sum(effect[codes[:, s]] for s, effect in enumerate(effects))
    return pd.Series(truth, index=space.decode(codes)), effects


def table(truth, rng, num, noise, replicates=1, metric="accuracy"):
    """A random part of the space, trained with noise."""
    chosen = rng.choice(len(truth), num, replace=False)
    rows = [
        {"placement": truth.index[i], "seed": seed, metric: truth.iloc[i] + error}
        for i in chosen
        for seed, error in enumerate(rng.normal(0, noise, replicates))
    ]
    return pd.DataFrame(rows)


NINE = SlotSpace((3, 3, 3), ("CM",) * 9)
EIGHT = SlotSpace((8,), ("CMP",) * 8)
