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

_MIN_BLOCK = 3
"""Nor those of a further start vector before a few products."""

_SETTLED = 0.1
"""Relative residual at which the largest Ritz value of a further start vector counts
as settled. Our choice: one that turns out to be missing still meets the tolerance."""

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
        converged: Every eigenvalue met the tolerance: each is one of the matrix, but
            a larger one may be missing.
        smallest_converged: The smallest Ritz value met it too.
        verified: A further random start vector, orthogonal to the basis, found no
            other eigenvalue as large as those returned.
        num_starts: Start vectors used; more than two if the first one lacked something.
        num_products: Matrix-vector products used.
        ritz_values: All Ritz values in ascending order, without ``shift``.
        weights: Squared first components of the eigenvectors of ``T``: the weights
            of Gauss quadrature with the Ritz values as nodes (of a run without
            verification).
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
    verified: bool
    num_starts: int
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
    verify: bool = True,
    shift: float = 0.0,
    device: torch.device | None = None,
    dtype: torch.dtype = torch.float32,
) -> LanczosResult:
    """Find the eigenvalues of largest magnitude and the smallest eigenvalue.

    The error of an eigenvalue is of the order of the *square* of its relative
    residual: 1e-3 gave errors below 1e-6 on Hessians of small networks. A looser
    tolerance may stop before one of the five has emerged at all.

    A Krylov space of one start vector holds an eigenvalue once, whatever its
    multiplicity, and one that nearly equals another late. So when all have converged
    (or the iteration has broken down), it goes on with a new random vector orthogonal
    to the basis, until the largest Ritz value of this block alone has settled to a
    tenth. If nothing as large as the eigenvalues found came in, that was all; else what
    came in converges as well, and another vector follows. This is evidence, not proof:
    a random vector may hold too little of a missing direction. In 330 planted spectra
    of 3,000 rows (double to fivefold values, nearly equal edges) 100 results without it
    and 1 with it lacked an eigenvalue, for 22 to 127% more products; on 16 Hessians of
    trained networks nothing was missing, for 28% more products (median).

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
        verify: Look for missing eigenvalues; without effect at tolerance zero.
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
    projected = numpy.zeros((limit, limit))  # Q' H Q
    loose: list[_LooseEnd] = []
    asymmetry = scale = 0.0
    verified, num_starts = False, 1
    # What is left of a product inside the basis is rounding, far from a direction.
    negligible = torch.finfo(dtype).eps ** 0.75
    block_start = 0  # where the current Krylov space began
    found_before: _Ritz | None = None  # what the earlier ones gave
    vector = _random_unit(basis, size, generator, place, dtype)
    beta = 0.0
    while True:
        basis.append(vector)
        product = matvec(vector)
        left, coefficients = basis.remove(product)
        row = coefficients.double().cpu().numpy()
        count = len(basis)
        # H is symmetric, so all but the last coefficient are known already.
        known = numpy.zeros(count - 1)
        if count - 1 > block_start:
            known[-1] = beta
        for end in loose:
            known[end.index] += end.take(vector)
        beta = float(torch.linalg.vector_norm(left))
        if not (numpy.isfinite(row).all() and numpy.isfinite(beta)):
            raise EvaluationError(
                f"matrix-vector product {count} is not finite (NaN or infinite)"
            )
        deviation = numpy.abs(numpy.abs(row[:-1]) - numpy.abs(known))
        asymmetry = max(asymmetry, float(deviation.max(initial=0.0)))
        projected[count - 1, : count - 1] = projected[: count - 1, count - 1] = known
        projected[count - 1, count - 1] = row[-1]
        ends = [(end.index, end.norm) for end in loose]
        ritz = _Ritz.of(
            projected[:count, :count],
            [*ends, (count - 1, beta)],
            shift,
            num_eigenvalues,
            tolerance,
        )
        scale = max(abs(ritz.values[0]), abs(ritz.values[-1]))
        done = ritz.converged and (ritz.smallest_converged or not smallest)
        if count >= limit:
            break
        broken_down = beta <= negligible * scale  # an invariant subspace
        if found_before is None:
            enough = count >= min(max(_MIN_PRODUCTS, num_eigenvalues + 1), limit)
            block_ends = tolerance > 0 and enough and done
            if block_ends and not verify and not broken_down:
                break
        else:
            block = projected[block_start:count, block_start:count]
            alone = _Ritz.of(block, [(len(block) - 1, beta)], 0.0, 1, _SETTLED)
            settled = broken_down or (len(block) >= _MIN_BLOCK and alone.converged)
            block_ends = settled and done
            if block_ends and ritz.holds_no_more_than(found_before, tolerance):
                verified = True
                break
        if block_ends or broken_down:
            if not broken_down:
                loose.append(_LooseEnd(count - 1, left))
            if tolerance > 0 and count >= num_eigenvalues:
                found_before = ritz
            block_start, num_starts = count, num_starts + 1
            vector = _random_unit(basis, size, generator, place, dtype)
        else:
            vector = left / beta
    complete = count == size
    top = ritz.top
    return LanczosResult(
        eigenvalues=tuple(float(v) for v in ritz.values[top] + shift),
        residuals=tuple(float(r) for r in ritz.residuals[top]),
        smallest=float(ritz.values[0] + shift),
        smallest_residual=float(ritz.residuals[0]),
        converged=complete or ritz.converged,
        smallest_converged=complete or ritz.smallest_converged,
        verified=complete or verified,
        num_starts=num_starts,
        num_products=count,
        ritz_values=ritz.values,
        weights=ritz.weights,
        trace=float(numpy.trace(projected[:count, :count])),
        asymmetry=asymmetry / scale if scale > 0 else 0.0,
        basis=basis,
    )


class _LooseEnd:
    """What the last product of a Krylov space left outside the basis.

    Attributes:
        index: The basis vector it belongs to.
        norm: Length of what is still outside.
    """

    def __init__(self, index: int, left: Tensor) -> None:
        self.index = index
        self._left = left
        self.norm = float(torch.linalg.vector_norm(left))

    def take(self, vector: Tensor) -> float:
        """Move the part along a new basis vector into the basis; its length."""
        part = torch.dot(self._left, vector)
        self._left = self._left - part * vector
        self.norm = float(torch.linalg.vector_norm(self._left))
        return float(part)


@dataclass(frozen=True)
class _Ritz:
    """Eigen-decomposition of the projected matrix."""

    values: Array
    residuals: Array
    weights: Array
    top: NDArray[numpy.intp]
    converged: bool
    smallest_converged: bool

    @classmethod
    def of(
        cls,
        matrix: Array,
        ends: list[tuple[int, float]],
        shift: float,
        num_eigenvalues: int,
        tolerance: float,
    ) -> "_Ritz":
        # Not scipy's eigh_tridiagonal: with a second block the matrix is not
        # tridiagonal.
        decomposition: Any = numpy.linalg.eigh(matrix)
        values, vectors = decomposition
        # Exact for one end, an upper bound for several.
        residuals = numpy.zeros(len(values))
        for index, norm in ends:
            residuals += numpy.abs(norm * vectors[index])
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

    def holds_no_more_than(self, before: "_Ritz", tolerance: float) -> bool:
        """Whether the wanted values are those that were there before."""
        wanted = [*self.values[self.top], self.values[0]]
        wanted_before = [*before.values[before.top], before.values[0]]
        scale = float(numpy.abs(self.values).max())
        return bool(
            numpy.allclose(wanted, wanted_before, rtol=tolerance, atol=1e-6 * scale)
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
