"""Lanczos iteration with full reorthogonalisation for the ends of a spectrum.

For a symmetric matrix ``H`` known only through products ``H v``, Lanczos builds an
orthonormal basis ``Q`` of the Krylov space of a random start vector and the
tridiagonal ``T = Q' H Q``. The eigenvalues of ``T`` (Ritz values) approach the extreme
eigenvalues of ``H`` first, and ``|beta_m s_mi|`` (the last off-diagonal times the last
component of the eigenvector of ``T``) is the exact residual of Ritz pair ``i``.

Power iteration with deflation, which PyHessian uses, needs 4 to 24 times as many
products for the five largest eigenvalues at the same accuracy.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaluators.evaluator import EvaluationError

Array = NDArray[numpy.float64]

_MIN_PRODUCTS = 6
"""Residuals mean little before the space holds a few vectors."""

_CHUNK = 8
"""Basis vectors allocated at once: memory grows with the iterations really done."""


@dataclass(frozen=True)
class LanczosResult:
    """What a Lanczos run found.

    Attributes:
        eigenvalues: The ``num_eigenvalues`` of largest magnitude, largest magnitude
            first; fewer if the matrix is smaller.
        residuals: ``||H x - theta x||`` of each of them.
        smallest: The smallest (most negative) Ritz value.
        smallest_residual: Its residual.
        converged: Every eigenvalue met the tolerance.
        smallest_converged: The smallest Ritz value met it too.
        num_products: Matrix-vector products used.
        ritz_values: All Ritz values in ascending order, without ``shift``.
        weights: Squared first components of the eigenvectors of ``T``: the weights
            of Gauss quadrature with the Ritz values as nodes.
        trace: Trace of ``T = Q' H Q``, without ``shift``.
        asymmetry: Largest entry of ``Q' H Q`` outside the tridiagonal, relative to
            the largest Ritz magnitude; rounding for a symmetric matrix.
        basis: The basis ``Q``.
    """

    eigenvalues: tuple[float, ...]
    residuals: tuple[float, ...]
    smallest: float
    smallest_residual: float
    converged: bool
    smallest_converged: bool
    num_products: int
    ritz_values: Array
    weights: Array
    trace: float
    asymmetry: float
    basis: "KrylovBasis"


class KrylovBasis:
    """A growing set of orthonormal vectors.

    Args:
        size: Length of a vector.
        device: Where the vectors are kept.
        dtype: Their type.
    """

    def __init__(self, size: int, device: torch.device, dtype: torch.dtype) -> None:
        self._chunks: list[Tensor] = []
        self._size, self._device, self._dtype = size, device, dtype
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, vector: Tensor) -> None:
        """Add a unit vector that is orthogonal to the others, ``(size,)``."""
        row = self._count % _CHUNK
        if row == 0:
            self._chunks.append(
                torch.empty(_CHUNK, self._size, device=self._device, dtype=self._dtype)
            )
        self._chunks[-1][row] = vector
        self._count += 1

    def vectors(self) -> list[Tensor]:
        """Blocks of basis vectors, each ``(num, size)``."""
        full = self._chunks[:-1]
        rest = self._count - _CHUNK * len(full)
        return [*full, self._chunks[-1][:rest]] if self._chunks else []

    def remove(self, vector: Tensor) -> tuple[Tensor, Tensor]:
        """Project the basis out of a vector, in two Gram-Schmidt passes.

        Args:
            vector: ``(size,)``; not changed.

        Returns:
            What is left, ``(size,)``, and the coefficients ``(len(self),)``.
        """
        left = vector.clone()
        total = vector.new_zeros(self._count)
        for _ in range(2):  # one pass loses orthogonality, two are enough
            blocks = self.vectors()
            parts = [block @ left for block in blocks]
            for block, part in zip(blocks, parts, strict=True):
                left.addmv_(block.T, part, alpha=-1)
            if parts:
                total += torch.cat(parts)
        return left, total


def lanczos(
    matvec: Callable[[Tensor], Tensor],
    size: int,
    generator: torch.Generator,
    *,
    num_eigenvalues: int = 5,
    tolerance: float = 1e-3,
    max_products: int = 60,
    smallest: bool = True,
    shift: float = 0.0,
    device: torch.device | None = None,
    dtype: torch.dtype = torch.float32,
) -> LanczosResult:
    """Find the eigenvalues of largest magnitude and the smallest eigenvalue.

    The error of an eigenvalue is of the order of the *square* of its relative
    residual: 1e-3 gave errors below 1e-6 on Hessians of small networks. A looser
    tolerance may stop before one of the five has emerged at all. As for any Krylov
    method with one start vector, an eigenvalue is found once, whatever its
    multiplicity, unless the iteration breaks down; then it restarts with a new random
    vector until nothing new enters, so that low-rank and degenerate matrices are
    resolved with multiplicities.

    Args:
        matvec: Product of a symmetric ``(size, size)`` matrix with a vector.
        size: Number of rows.
        generator: CPU generator of the random start vector.
        num_eigenvalues: How many eigenvalues of largest magnitude. The default 5 is
            the paper's "top-5" (issue 12 of its repository).
        tolerance: Stop when every residual is at most this times its eigenvalue.
            Zero: use all ``max_products``.
        max_products: Give up after this many products.
        smallest: Wait for the smallest Ritz value as well.
        shift: Eigenvalues of ``H + shift I`` are returned, at no cost.
        device: Where vectors live; the CPU if ``None``.
        dtype: Type of the vectors.

    Returns:
        The eigenvalues with residuals and flags.

    Raises:
        EvaluationError: A product is not finite.
    """
    place = torch.device("cpu") if device is None else device
    basis = KrylovBasis(size, place, dtype)
    limit = min(max_products, size)
    alphas: list[float] = []
    betas: list[float] = []  # betas[j] links basis vectors j and j + 1
    asymmetry = scale = 0.0
    # What is left of a product inside the basis is rounding, far from a direction.
    negligible = torch.finfo(dtype).eps ** 0.75
    block_start = 0  # where the current invariant block began
    vector = _random_unit(basis, size, generator, place, dtype)
    while True:
        basis.append(vector)
        product = matvec(vector)
        left, coefficients = basis.remove(product)
        row = coefficients.double().cpu().numpy()
        beta = float(torch.linalg.vector_norm(left))
        if not (numpy.isfinite(row).all() and numpy.isfinite(beta)):
            raise EvaluationError(
                f"matrix-vector product {len(basis)} is not finite (NaN or infinite)"
            )
        asymmetry = max(asymmetry, _off_tridiagonal(row, betas))
        alphas.append(float(row[-1]))
        ritz = _Ritz.of(alphas, betas, beta, shift, num_eigenvalues, tolerance)
        scale = max(abs(ritz.values[0]), abs(ritz.values[-1]))
        count = len(alphas)
        if count >= limit:
            break
        if beta <= negligible * scale:  # an invariant subspace
            if tolerance > 0 and _nothing_new(
                alphas, betas, block_start, shift, num_eigenvalues, tolerance
            ):
                break
            block_start = count
            vector = _random_unit(basis, size, generator, place, dtype)
            beta = 0.0
        elif (
            tolerance > 0
            and count >= min(max(_MIN_PRODUCTS, num_eigenvalues + 1), limit)
            and block_start == 0
            and ritz.converged
            and (ritz.smallest_converged or not smallest)
        ):
            break
        else:
            vector = left / beta
        betas.append(beta)
    complete = count == size
    top = ritz.top
    return LanczosResult(
        eigenvalues=tuple(float(v) for v in ritz.values[top] + shift),
        residuals=tuple(float(r) for r in ritz.residuals[top]),
        smallest=float(ritz.values[0] + shift),
        smallest_residual=float(ritz.residuals[0]),
        converged=complete or ritz.converged,
        smallest_converged=complete or ritz.smallest_converged,
        num_products=count,
        ritz_values=ritz.values,
        weights=ritz.weights,
        trace=float(sum(alphas)),
        asymmetry=asymmetry / scale if scale > 0 else 0.0,
        basis=basis,
    )


@dataclass(frozen=True)
class _Ritz:
    """Eigen-decomposition of the tridiagonal matrix."""

    values: Array
    residuals: Array
    weights: Array
    top: NDArray[numpy.intp]
    converged: bool
    smallest_converged: bool

    @classmethod
    def of(
        cls,
        alphas: list[float],
        betas: list[float],
        last_beta: float,
        shift: float,
        num_eigenvalues: int,
        tolerance: float,
    ) -> "_Ritz":
        off = numpy.asarray(betas[: len(alphas) - 1], dtype=numpy.float64)
        matrix = numpy.diag(numpy.asarray(alphas, dtype=numpy.float64))
        matrix += numpy.diag(off, 1) + numpy.diag(off, -1)
        decomposition: Any = numpy.linalg.eigh(matrix)
        values, vectors = decomposition
        residuals = numpy.abs(last_beta * vectors[-1])
        top = numpy.argsort(-numpy.abs(values + shift), kind="stable")[:num_eigenvalues]
        scale = float(numpy.abs(values).max())
        # Relative to the eigenvalue, with a floor for eigenvalues that are zero.
        floor = 1e-6 * scale
        done = residuals <= numpy.maximum(tolerance * numpy.abs(values + shift), floor)
        return cls(
            values=values,
            residuals=residuals,
            weights=vectors[0] ** 2,
            top=top,
            converged=bool(len(top) >= num_eigenvalues and done[top].all()),
            smallest_converged=bool(done[0]),
        )


def _off_tridiagonal(row: Array, betas: list[float]) -> float:
    """Largest deviation of ``Q' H q`` from a tridiagonal row."""
    if len(row) < 2:
        return 0.0
    link = abs(abs(float(row[-2])) - betas[-1])
    return max(link, float(numpy.abs(row[:-2]).max(initial=0.0)))


def _nothing_new(
    alphas: list[float],
    betas: list[float],
    block_start: int,
    shift: float,
    num_eigenvalues: int,
    tolerance: float,
) -> bool:
    """Whether the invariant block just completed left the wanted values as they were.

    A block of a start vector in general position contains every eigenvalue that is
    still there, so a block that adds nothing means that nothing is left.
    """
    if block_start < num_eigenvalues:
        return False
    before = _Ritz.of(
        alphas[:block_start], betas, 0.0, shift, num_eigenvalues, tolerance
    )
    after = _Ritz.of(alphas, betas, 0.0, shift, num_eigenvalues, tolerance)
    wanted_before = [*before.values[before.top], before.values[0]]
    wanted_after = [*after.values[after.top], after.values[0]]
    scale = float(numpy.abs(after.values).max())
    return bool(
        numpy.allclose(wanted_before, wanted_after, rtol=tolerance, atol=1e-6 * scale)
    )


def _random_unit(
    basis: KrylovBasis,
    size: int,
    generator: torch.Generator,
    device: torch.device,
    dtype: torch.dtype,
) -> Tensor:
    """A random unit vector orthogonal to the basis."""
    start = torch.randn(size, generator=generator, dtype=torch.float64)
    vector, _ = basis.remove(start.to(device=device, dtype=dtype))
    return vector.div_(torch.linalg.vector_norm(vector))
