"""Size of a block or a network."""

from typing import NamedTuple


class Cost(NamedTuple):
    """Size of a block or a network.

    Attributes:
        params: Trainable parameters.
        macs: Multiply-accumulates of one image in convolutions, matrix products
            and attention; norms, activations and pools are not counted.
    """

    params: int
    macs: int
