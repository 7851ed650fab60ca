"""Spectral density of a symmetric matrix from Lanczos runs.

Stochastic Lanczos quadrature (Lin, Saad & Yang, 2016; Ghorbani et al., 2019, section
2): for a random unit start vector, the Ritz values and the squared first components
of the eigenvectors of ``T`` are nodes and weights of Gauss quadrature for the spectral
measure seen by that vector, whose mean over start vectors is the spectral density.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

from evaluators.loss.lanczos import LanczosResult
from search_spaces.errors import InputError

Array = NDArray[numpy.float64]


@dataclass(frozen=True)
class SpectralDensity:
    """Point masses that stand for the eigenvalue distribution of a matrix.

    How close the distribution function comes depends on the spectrum: a run of m
    products places m masses, so it cannot be closer than half of the largest mass. More
    runs average the error of the random start vectors, more products place more masses.

    Attributes:
        nodes: Positions in ascending order, ``(num,)``.
        weights: Masses, ``(num,)``; they sum to one.
    """

    nodes: Array
    weights: Array

    @classmethod
    def from_runs(cls, runs: Sequence[LanczosResult]) -> "SpectralDensity":
        """Pool Lanczos runs with independent random start vectors.

        Args:
            runs: Runs on one matrix, or on several whose mean density is wanted.

        Returns:
            The mean density.

        Raises:
            InputError: There is no run.
        """
        if not runs:
            raise InputError("a spectral density needs at least one Lanczos run, got 0")
        nodes = numpy.concatenate([run.ritz_values for run in runs])
        weights = numpy.concatenate([run.weights / len(runs) for run in runs])
        order = numpy.argsort(nodes, kind="stable")
        return cls(nodes[order], weights[order])
