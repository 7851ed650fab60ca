"""Top-5 Hessian eigenvalues: ours beside PyHessian and curvlinops + eigsh.

One run trains one network for each placement, then gives every method the same
networks, mini-batches, attention kernel (math) and a single thread. The truth is
``scipy.sparse.linalg.eigsh`` to a tolerance of 1e-10 on float64 products computed
forward-over-reverse by ``torch.func``: no code of ours. Methods are interleaved, and
times are process CPU seconds, because those hold on a busy machine.

Error: both lists sorted by magnitude, the largest of the five relative errors; a
missed eigenvalue or a wrong sign therefore shows as an error of order one.

    python benchmarks/flatness.py --data imagefolder --root CIFAR10_DIR
"""

import argparse
import csv
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from evaluators.loss.batch_loss import BatchLoss
from evaluators.loss.hvp import Hessian
from evaluators.loss.lanczos import lanczos
from evaluators.loss.minibatches import draw_minibatches, generator_for
from nas.config import DataConfig, TrainingConfig
from nas.data.augmentation import make_augmentation
from nas.data.datasets import Dataset, load_dataset
from nas.scoring.training import train
from search_spaces import Architecture, Attention, Backbone, Placement

Spectrum = tuple[list[float], int]
"""Eigenvalues and the number of Hessian-vector products they took."""
Method = Callable[[nn.Module, torch.Tensor, torch.Tensor], Spectrum]

PLACEMENTS = ("CCC-CCC-CCC", "CCM-CCM-CCM", "MMM-MMM-MMM")
CPU = torch.device("cpu")


def ours(smallest: bool) -> Method:
    def run(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> Spectrum:
        hessian = Hessian(BatchLoss(model, images, labels))
        result = lanczos(
            hessian.__matmul__, hessian.size, generator_for(0), smallest=smallest
        )
        return list(result.eigenvalues), hessian.num_products

    return run


def pyhessian(tolerance: float, max_iterations: int) -> Method:
    """PyHessian 0.1 as its users call it; only its product counter is ours."""

    def run(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> Spectrum:
        # The package hides its module behind a class of the same name.
        module: Any = import_module("pyhessian.hessian")

        count = 0
        product = module.hessian_vector_product

        def counted(*arguments):  # type: ignore[no-untyped-def]
            nonlocal count
            count += 1
            return product(*arguments)

        module.hessian_vector_product = counted
        torch.manual_seed(0)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # its create_graph leak warning
                operator = module.hessian(
                    model, nn.CrossEntropyLoss(), data=(images, labels), cuda=False
                )
                values, _ = operator.eigenvalues(
                    maxIter=max_iterations, tol=tolerance, top_n=5
                )
        finally:
            module.hessian_vector_product = product
            model.zero_grad(set_to_none=True)
        return [float(value) for value in values], count

    return run


def curvlinops_eigsh(tolerance: float) -> Method:
    def run(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> Spectrum:
        from curvlinops import HessianLinearOperator

        operator = HessianLinearOperator(
            model,
            nn.CrossEntropyLoss(),
            list(model.parameters()),
            [(images, labels)],
            check_deterministic=False,
        ).to_scipy()
        return counted_eigsh(operator.matvec, operator.shape[0], "f4", tolerance)

    return run


def counted_eigsh(
    matvec: Callable[[numpy.ndarray], numpy.ndarray],
    size: int,
    dtype: str,
    tolerance: float,
) -> Spectrum:
    count = 0

    def product(vector: numpy.ndarray) -> numpy.ndarray:
        nonlocal count
        count += 1
        return matvec(vector.reshape(-1).astype(dtype))

    operator = LinearOperator((size, size), matvec=product, dtype=dtype)
    start = numpy.random.default_rng(0).standard_normal(size).astype(dtype)
    values = eigsh(
        operator, 5, which="LM", tol=tolerance, v0=start, return_eigenvectors=False
    )
    return [float(value) for value in values], count


def truth(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> list[float]:
    names, parameters = zip(*model.named_parameters(), strict=True)
    sizes = [p.numel() for p in parameters]
    point = torch.cat([p.detach().double().reshape(-1) for p in parameters])
    buffers = {
        n: b.double() if b.is_floating_point() else b for n, b in model.named_buffers()
    }

    def nll(flat: torch.Tensor) -> torch.Tensor:
        parts = torch.split(flat, sizes)
        state = {
            n: part.view(p.shape)
            for n, p, part in zip(names, parameters, parts, strict=True)
        }
        state.update(buffers)
        logits = torch.func.functional_call(model, state, images.double())
        return functional.cross_entropy(logits, labels)

    def matvec(vector: numpy.ndarray) -> numpy.ndarray:
        tangent = torch.from_numpy(vector)
        return torch.func.jvp(torch.func.grad(nll), (point,), (tangent,))[1].numpy()

    return sorted(counted_eigsh(matvec, len(point), "f8", 1e-10)[0], key=magnitude)


def magnitude(value: float) -> float:
    return -abs(value)


def worst_error(found: list[float], true: list[float]) -> float:
    pairs = zip(sorted(found, key=magnitude), true, strict=True)
    return max(abs(a - b) / abs(b) for a, b in pairs)


METHODS: dict[str, Method] = {
    "ours, top 5 and smallest (default)": ours(smallest=True),
    "ours, top 5": ours(smallest=False),
    "PyHessian, tol 1e-3, 100 it. (default)": pyhessian(1e-3, 100),
    "PyHessian, tol 1e-4, 1000 it.": pyhessian(1e-4, 1000),
    "PyHessian, tol 1e-5, 1000 it.": pyhessian(1e-5, 1000),
    "curvlinops + eigsh, tol 1e-3": curvlinops_eigsh(1e-3),
}


def trained(
    placement: str, dataset: Dataset, config: TrainingConfig, cache: Path | None
) -> nn.Module:
    """A placement of nine basic blocks, widths 16/32/64, trained for a few epochs."""
    architecture = Architecture(
        backbone=Backbone("basic", "patch2", (3, 3, 3), (16, 32, 64)),
        placement=Placement.parse(placement),
        attention=Attention(heads=(1, 2, 4), head_dim=16),
        num_classes=dataset.num_classes,
        in_channels=dataset.in_channels,
        image_size=dataset.image_size,
    )
    torch.manual_seed(0)
    model = architecture.build()
    path = cache / f"{placement}-{config.epochs}.pt" if cache else None
    if path is not None and path.exists():
        model.load_state_dict(torch.load(path, weights_only=True))
    else:
        history = train(model, dataset, config, seed=0, device=CPU)
        print(f"{placement}: val_accuracy {history[-1].val_accuracy:.3f}", flush=True)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.save(model.state_dict(), path)
    return model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="mnist5k")
    parser.add_argument("--root")
    parser.add_argument("--max-train", type=int, default=5000)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batches", type=int, default=2, help="a network")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cache", type=Path, help="keep trained weights here")
    parser.add_argument("--out", type=Path, help="CSV with every single run")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    dataset = load_dataset(
        DataConfig(
            name=arguments.data,
            root=arguments.root,
            image_size=32,
            max_train=arguments.max_train,
            max_validation=1000,
        )
    )
    config = TrainingConfig(
        epochs=arguments.epochs, crop_padding=4, horizontal_flip=0.5
    )
    data = dataset.evaluation_data(make_augmentation(config), config.weight_decay)
    rows: list[dict[str, object]] = []
    for placement in PLACEMENTS:
        model = trained(placement, dataset, config, arguments.cache)
        for batch in draw_minibatches(data, 16, arguments.batches, 0, CPU):
            with sdpa_kernel(SDPBackend.MATH):
                true = truth(model, batch.images, batch.labels)
                print(placement, batch.index, [f"{v:.2f}" for v in true], flush=True)
                for repeat in range(arguments.repeats):
                    for name, method in METHODS.items():
                        started = time.process_time()
                        found, products = method(model, batch.images, batch.labels)
                        seconds = time.process_time() - started
                        rows.append(
                            {
                                "placement": placement,
                                "batch": batch.index,
                                "repeat": repeat,
                                "method": name,
                                "products": products,
                                "seconds": seconds,
                                "error": worst_error(found, true),
                                "signs_right": [v < 0 for v in true]
                                == [v < 0 for v in sorted(found, key=magnitude)],
                            }
                        )
                print_problem(rows[-arguments.repeats * len(METHODS) :])
    print_summary(rows)
    if arguments.out:
        with arguments.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


def print_problem(rows: list[dict[str, object]]) -> None:
    for name in METHODS:
        mine = [row for row in rows if row["method"] == name]
        seconds = sorted(float(str(row["seconds"])) for row in mine)
        print(
            f"  {name:40s} {mine[0]['products']:4d} products  "
            f"{statistics.median(seconds):7.2f} s ({seconds[0]:.2f} to "
            f"{seconds[-1]:.2f})  error {float(str(mine[0]['error'])):.1e}",
            flush=True,
        )


def print_summary(rows: list[dict[str, object]]) -> None:
    """Per method: ratios within each problem, then the median over problems."""
    problems = sorted({(str(r["placement"]), str(r["batch"])) for r in rows})

    def of(problem: tuple[str, str], name: str, column: str) -> float:
        values = [
            float(str(r[column] if column != "signs_right" else int(bool(r[column]))))
            for r in rows
            if (str(r["placement"]), str(r["batch"])) == problem and r["method"] == name
        ]
        return statistics.median(values)

    same_task = "ours, top 5"  # the others do not look for the smallest eigenvalue
    default = next(iter(METHODS))
    print(f"\n{len(problems)} problems; medians over them, with the range")
    print(
        "| method | products | CPU s | CPU time / ours, top 5 | CPU time / our default "
        "| worst-of-5 error, median, largest | signs wrong |"
    )
    print("|---|---|---|---|---|---|---|")
    for name in METHODS:
        products = [of(p, name, "products") for p in problems]
        seconds = [of(p, name, "seconds") for p in problems]
        errors = [of(p, name, "error") for p in problems]
        ratios = [
            spread([of(p, name, "seconds") / of(p, other, "seconds") for p in problems])
            for other in (same_task, default)
        ]
        wrong = sum(1 - int(of(p, name, "signs_right")) for p in problems)
        print(
            f"| {name} | {spread(products, 0)} | {spread(seconds)} "
            f"| {ratios[0]} | {ratios[1]} "
            f"| {statistics.median(errors):.0e}, {max(errors):.0e} "
            f"| {wrong} of {len(problems)} |"
        )


def spread(values: list[float], digits: int = 1) -> str:
    middle, low, high = (
        f"{value:.{digits}f}"
        for value in (statistics.median(values), min(values), max(values))
    )
    return f"{middle} ({low} to {high})"


if __name__ == "__main__":
    sys.exit(main())
