"""Time and memory of one forward pass on the device the network is on.

CPU: process time with one thread, because on a shared machine wall time moved by a
factor of 2.0 to 2.4 between two occasions where process time moved by 3 to 11 %. GPU:
CUDA events. Networks should still be compared in one run on one device.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar
from weakref import finalize

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from evaluators.data import EvaluationData
from evaluators.evaluator import Evaluation, Evaluator, Metric, untouched
from evaluators.options import require_at_least


@dataclass(frozen=True)
class Latency(Evaluator):
    """Median time of a forward pass and the memory it needs at its peak.

    Attributes:
        batch_size: Images in the forward pass (filled up by repeating images if the
            validation set has fewer). 64: at batch size 1 small nets measure overhead.
        num_warmups: Forward passes before the clock counts.
        num_repeats: Timed forward passes; 25 kept the median within 3 to 11 % on a
            busy CPU.
    """

    name: ClassVar[str] = "latency"
    cost_in_epochs: ClassVar[float | None] = 0.07
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            name="latency",
            unit="seconds",
            direction="minimize",
            definition=(
                "Median time of one forward pass of a batch without gradients: process "
                "time with one thread on a CPU, CUDA events on a GPU"
            ),
            source="our choice, because wall time on a shared CPU is not repeatable",
        ),
        Metric(
            name="peak_memory",
            unit="bytes",
            direction="minimize",
            definition=(
                "Largest memory at any time of one forward pass, weights included: "
                "live tensors on a CPU, the allocator's peak on a GPU"
            ),
            source="our choice, because it is the memory a device must have",
        ),
    )

    batch_size: int = 64
    num_warmups: int = 5
    num_repeats: int = 25

    def __post_init__(self) -> None:
        require_at_least(self, 1, batch_size=self.batch_size)
        require_at_least(self, 0, num_warmups=self.num_warmups)
        require_at_least(self, 4, num_repeats=self.num_repeats)

    def evaluate(self, model: nn.Module, data: EvaluationData) -> Evaluation:
        """Time the forward pass; see the base class."""
        indices = torch.arange(self.batch_size) % len(data.validation)
        with untouched(model) as device, torch.no_grad():
            batch, _ = data.validation.batch(indices, device)

            def forward() -> None:
                model(batch)

            with one_cpu_thread(device):
                timed = timer(device)
                for _ in range(self.num_warmups):
                    forward()
                seconds = torch.tensor(
                    [timed(forward) for _ in range(self.num_repeats)],
                    dtype=torch.float64,
                )
                peak = _peak_memory(model, forward, device)
                num_threads = torch.get_num_threads()
        low, first, median, third, high = seconds.quantile(
            torch.tensor([0.1, 0.25, 0.5, 0.75, 0.9], dtype=torch.float64)
        ).tolist()
        # Of the median under normal noise, with the spread taken from the quartiles.
        error = 1.2533 * (third - first) / 1.349 / self.num_repeats**0.5
        return Evaluation(
            metrics={"latency": median, "peak_memory": float(peak)},
            standard_errors={"latency": error},
            details={
                "seconds": seconds.tolist(),
                "minimum": float(seconds.min()),
                "p10": low,
                "p90": high,
                "batch_size": self.batch_size,
                "device": device_name(device),
                "threads": num_threads,
                "dtype": str(batch.dtype),
                "load_average": os.getloadavg()[0],
            },
        )


@contextmanager
def one_cpu_thread(device: torch.device) -> Iterator[None]:
    """One thread while timing a CPU: process time sums the time of all threads."""
    threads = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def timer(device: torch.device) -> Callable[[Callable[[], object]], float]:
    """What takes the time of a call: process time on a CPU, CUDA events on a GPU.

    Args:
        device: Where the call computes.

    Returns:
        A function from a call to its seconds.
    """
    return _time_cuda if device.type == "cuda" else _time_cpu


def _time_cpu(forward: Callable[[], object]) -> float:
    start = time.process_time()
    forward()
    return time.process_time() - start


def _time_cuda(forward: Callable[[], object]) -> float:
    start = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    end = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    torch.cuda.synchronize()
    start.record()
    forward()
    end.record()
    torch.cuda.synchronize()
    return float(start.elapsed_time(end)) / 1000  # milliseconds


def device_name(device: torch.device) -> str:
    """Name of a GPU, or the type of another device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return device.type


def _peak_memory(
    model: nn.Module, forward: Callable[[], None], device: torch.device
) -> int:
    """Bytes at the peak of one forward pass, weights included."""
    weights = [*model.parameters(), *model.buffers()]
    if device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats(device)
        # What else lies on the device does not belong to this network.
        others = torch.cuda.memory_allocated(device) - sum(t.nbytes for t in weights)
        forward()
        torch.cuda.synchronize()
        return int(torch.cuda.max_memory_allocated(device) - others)
    live = LiveTensors()
    with live:
        live.add(weights)
        forward()
    return live.peak


class LiveTensors(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of tensors that operations returned and that still live.

    Scratch memory inside a kernel is not seen; the count is the same on every run.

    Attributes:
        peak: Largest number of bytes that were alive at once.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._owners: dict[int, int] = {}
        self._sizes: dict[int, int] = {}
        self._total = 0
        self.peak = 0

    def add(self, tensors: Sequence[Any]) -> None:
        """Count tensors until they are deleted.

        Args:
            tensors: What an operation returned; anything but tensors is ignored.
        """
        for tensor in tensors:
            if not isinstance(tensor, Tensor):
                continue
            storage = tensor.untyped_storage()
            key = storage.data_ptr()
            if not self._owners.get(key):
                self._owners[key] = 0
                self._sizes[key] = storage.nbytes()
                self._total += self._sizes[key]
                self.peak = max(self.peak, self._total)
            self._owners[key] += 1
            finalize(tensor, self._release, key)

    def _release(self, key: int) -> None:
        self._owners[key] -= 1
        if self._owners[key] == 0:
            self._total -= self._sizes[key]

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run an operation and count what it returns."""
        result = func(*args, **(kwargs or {}))
        self.add(tree_flatten(result)[0])
        return result
