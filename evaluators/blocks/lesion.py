"""Accuracy lost when one residual block is removed from the trained network.

Park & Kim (ICLR 2022, section 4, Fig. 10; the code was not released): remove one unit,
measure again, do not retrain. Removing means that the block's branch adds zero, so that
the block is its shortcut: the identity, or the projection at a stage transition
(sub-sampling itself is never removed). BatchNorm statistics of later blocks are not
re-estimated.

What runs before the removed block returns what it returned in the intact network and is
not computed again: half of the work of the plain loop.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from evaluators.data import EvaluationData
from evaluators.evaluator import (
    Evaluation,
    EvaluationError,
    Evaluator,
    Metric,
    untouched,
)
from evaluators.options import require_at_least
from evaluators.predictions import (
    check_deterministic,
    check_enough,
    correct_predictions,
)
from evaluators.sampling import mean_and_error
from search_spaces.kinds.block_kind import BranchKind
from search_spaces.networks.block_chain import BlockChain, ChainBlock
from search_spaces.networks.chain_of import chain_of

_SOURCE = "Park & Kim 2022, sec. 4, Fig. 10 and Fig. D.4"


@contextmanager
def removed(block: ChainBlock) -> Iterator[None]:
    """Make a block its shortcut for the time of the context.

    Args:
        block: The block. Without a known branch the whole module is replaced by its
            input.

    Yields:
        Nothing; run the network inside.

    Raises:
        EvaluationError: The branch is unknown and the module changes the shape.
    """

    def zero(_: nn.Module, __: Any, output: Tensor) -> Tensor:
        return torch.zeros_like(output)

    def skip(_: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        (tensor, *_rest) = inputs
        if not isinstance(tensor, Tensor) or tensor.shape != output.shape:
            raise EvaluationError(
                f"{block.name} changes the shape of its input and its shortcut is not "
                "known: it cannot be removed"
            )
        return tensor

    if block.branch is None:
        handle = block.module.register_forward_hook(skip)
    else:
        handle = block.branch.module.register_forward_hook(zero)
    try:
        yield
    finally:
        handle.remove()


class PrefixReplay:
    """Remembers what modules returned and returns it again without computing.

    Args:
        modules: Modules in the order of the forward pass; each one runs once.
    """

    def __init__(self, modules: list[nn.Module]) -> None:
        self._modules = modules
        self._outputs: list[tuple[nn.Module, Any, int]] = []

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Remember the outputs of the forward pass run inside."""
        self._outputs = []

        def remember(module: nn.Module, _: Any, output: Any) -> None:
            self._outputs.append((module, output, _version(output)))

        with ExitStack() as stack:
            for module in self._modules:
                stack.callback(module.register_forward_hook(remember).remove)
            yield

    def usable(self) -> bool:
        """Whether all ran once, in order, and nobody wrote into what they returned."""
        return [module for module, _, _ in self._outputs] == self._modules and all(
            _version(output) == version for _, output, version in self._outputs
        )

    @contextmanager
    def replaying(self, num_modules: int) -> Iterator[None]:
        """Let the first modules return what they returned; the rest runs.

        Args:
            num_modules: How many do not run.

        Yields:
            Nothing; run the network inside.
        """
        with ExitStack() as stack:
            for module, output, _ in self._outputs[:num_modules]:
                # Shadows the method of the class until it is taken away again.
                stack.callback(_restore, module, module.__dict__.get("forward"))
                module.__dict__["forward"] = _constant(output)
            yield


def _restore(module: nn.Module, forward: Any) -> None:
    if forward is None:
        module.__dict__.pop("forward", None)
    else:
        module.__dict__["forward"] = forward


def _constant(output: Any) -> Callable[..., Any]:
    return lambda *_, **__: output


def _version(output: Any) -> int:
    return output._version if isinstance(output, Tensor) else 0


@dataclass(frozen=True)
class Lesion(Evaluator):
    """Accuracy lost by removing each block in turn.

    Attributes:
        max_images: Images of the validation set; 1000 put the standard error of a
            block's loss, which is paired, below 1.6 points.
        batch_size: Images in a forward pass; changes nothing but speed and memory.
        blocks: Module names by hand for models without adapter.
    """

    name: ClassVar[str] = "lesion"
    cost_in_epochs: ClassVar[float | None] = 0.11
    metrics: ClassVar[tuple[Metric, ...]] = tuple(
        Metric(
            name=f"lesion_{suffix}",
            unit="fraction",
            direction="none",
            definition=(
                f"Accuracy lost when one block is replaced by its shortcut, mean over "
                f"{blocks}"
            ),
            source=_SOURCE,
        )
        for suffix, blocks in (
            ("msa", "MSA blocks"),
            ("conv", "Conv blocks"),
            ("last", "the last block of every stage of two blocks or more"),
        )
    )

    max_images: int | None = 1000
    batch_size: int = 250
    blocks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_at_least(self, 2, max_images=self.max_images)
        require_at_least(self, 1, batch_size=self.batch_size)

    def evaluate(self, model: nn.Module, data: EvaluationData) -> Evaluation:
        """Remove every block in turn; see the base class."""
        chain = chain_of(model, self.blocks)
        images = data.validation
        check_enough(images, self.max_images)
        carriers = (*chain.prefix, *(block.module for block in chain.blocks))
        modules = list(dict.fromkeys(carriers))
        replay = PrefixReplay(modules)
        clean: list[Tensor] = []
        lost: list[list[Tensor]] = [[] for _ in chain.blocks]
        with untouched(model) as device, torch.no_grad():
            check_deterministic(model, images.batch(slice(0, 4), device)[0])
            for batch, labels in images.batches(
                self.batch_size, device, self.max_images
            ):
                with replay.recording():
                    correct = correct_predictions(model, batch, labels)
                clean.append(correct)
                reuse = replay.usable()
                for index, block in enumerate(chain.blocks):
                    num_replayed = modules.index(block.module) if reuse else 0
                    with replay.replaying(num_replayed), removed(block):
                        left = correct_predictions(model, batch, labels)
                    lost[index].append(correct - left)
                    reuse = reuse and replay.usable()

        drops = [torch.cat(parts) for parts in lost]
        rows = []
        for block, drop in zip(chain.blocks, drops, strict=True):
            mean, error = mean_and_error(drop)
            rows.append(
                {
                    "name": block.name,
                    "kind": block.kind,
                    "stage": block.stage,
                    "drop": mean,
                    "drop_se": error,
                }
            )
        metrics, errors = {}, {}
        for name, members in _groups(chain).items():
            if members:
                metrics[name], errors[name] = mean_and_error(
                    torch.stack([drops[index] for index in members]).mean(0)
                )
        return Evaluation(
            metrics=metrics,
            standard_errors=errors,
            details={
                "num_images": sum(len(part) for part in clean),
                "clean_accuracy": float(torch.cat(clean).mean()),
                "blocks": rows,
            },
        )


def _groups(chain: BlockChain) -> dict[str, list[int]]:
    """Positions of the blocks that each metric averages."""
    stages: dict[int, list[int]] = {}
    for index, block in enumerate(chain.blocks):
        stages.setdefault(block.stage, []).append(index)
    kinds: tuple[tuple[str, BranchKind], ...] = (
        ("lesion_msa", "msa"),
        ("lesion_conv", "conv"),
    )
    groups = {name: chain.of_kind(kind) for name, kind in kinds}
    groups["lesion_last"] = [m[-1] for m in stages.values() if len(m) > 1]
    return groups
