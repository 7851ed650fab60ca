"""The path of the weights during training, in polar coordinates.

Pre-print figure 1b: with the final weights as the pole and the line to the initial
weights as the axis,

    r_t     = |w_t - w_final| / |w_initial - w_final|
    theta_t = angle between (w_t - w_final) and (w_initial - w_final).

Retracted by the authors: they removed the figure from the camera-ready version and
asked readers to ignore it (issue 13 of their repository: it may mislead, and it was
hard to reproduce). Two angles say little about a path in a space of 10^5 dimensions,
where even random walks look alike. It is here to redraw the figure, not to rank
networks, and is therefore no Evaluator.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from search_spaces.errors import InputError


@dataclass(frozen=True)
class PolarPoint:
    """Weights of one moment.

    Attributes:
        radius: Distance to the final weights; 1 at the start, 0 at the end.
        angle: Degrees from the line that joins final and initial weights; 0 at the
            start, and by convention at the end, where it is not defined.
    """

    radius: float
    angle: float


def polar_trajectory(
    snapshots: Sequence[Mapping[str, Tensor]],
) -> list[PolarPoint]:
    """Describe a training run by the paper's retracted polar coordinates.

    Args:
        snapshots: Weights by name, from the initial to the final ones, e.g.
            ``dict(net.named_parameters())`` copied after each epoch. State dicts work
            too, but then BatchNorm's statistics count as weights.

    Returns:
        One point for each snapshot.

    Raises:
        InputError: There are fewer than two snapshots, they hold different tensors, a
            value is not finite, or the final weights equal the initial ones.
    """
    if len(snapshots) < 2:
        raise InputError(
            "a trajectory needs at least two snapshots (initial and final weights), "
            f"got {len(snapshots)}"
        )
    vectors = [_flatten(snapshot, snapshots[0]) for snapshot in snapshots]
    final = vectors[-1]
    axis = vectors[0] - final
    length = float(torch.linalg.vector_norm(axis))
    if not math.isfinite(length) or length == 0:
        raise InputError(
            "the final weights must differ from the initial ones by a finite distance, "
            f"got {length}"
        )
    points = []
    for number, vector in enumerate(vectors):
        offset = vector - final
        distance = float(torch.linalg.vector_norm(offset))
        if not math.isfinite(distance):
            raise InputError(f"snapshot {number} holds a value that is not finite")
        # atan2 of both components is exact for small angles, arccos is not.
        along = float(torch.dot(offset, axis)) / length
        across = float(torch.linalg.vector_norm(offset - along / length * axis))
        angle = math.degrees(math.atan2(across, along)) if distance > 0 else 0.0
        points.append(PolarPoint(radius=distance / length, angle=angle))
    return points


def _flatten(snapshot: Mapping[str, Tensor], first: Mapping[str, Tensor]) -> Tensor:
    if snapshot.keys() != first.keys():
        different = sorted(snapshot.keys() ^ first.keys())
        raise InputError(
            "all snapshots must hold the same tensors, these are not in all: "
            f"{', '.join(different[:5])}"
        )
    parts = [snapshot[name].detach().double().reshape(-1).cpu() for name in first]
    return torch.cat(parts)
