"""Names of data sets and samplers, readable without what they name.

Loaders and samplers are rooms above this one, whose import takes seconds; a typo is
answered at once. Tests compare these lists with the registries.
"""

DATA_SETS = ["mnist5k", "digits", "cifar10", "cifar100", "imagefolder", "fake"]
"""Data sets by name; ``register_dataset`` adds to it."""

SAMPLERS = (
    "tpe", "nsga2", "gp", "linear", "random", "exhaustive", "uniform", "factorial",
    "swaps", "build_up", "given",
)  # fmt: skip
"""The keys of ``nas.sampling.samplers.SAMPLERS``."""
