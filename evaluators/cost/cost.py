"""What one image costs: parameters and multiply-accumulates (MACs)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from evaluators.data import EvaluationData
from evaluators.evaluator import Evaluation, Evaluator, Metric, untouched
from search_spaces.counting import count_macs, count_params


@dataclass(frozen=True)
class Cost(Evaluator):
    """Exact counts of any network, a foreign model too; they have no sampling error.

    MACs are no proxy for latency across block types: on a CPU an all-MSA net with
    0.39 times the MACs of the all-Conv net took 2.1 times its time.
    """

    name: ClassVar[str] = "cost"
    cost_in_epochs: ClassVar[float | None] = 0.003
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            name="params",
            unit="1",
            direction="minimize",
            definition="Trainable parameters",
            source="Park & Kim 2022, Fig. 12",
        ),
        Metric(
            name="macs",
            unit="1",
            direction="minimize",
            definition=(
                "Multiply-accumulates of one validation image in convolutions, linear "
                "layers and attention (both matrix products); norms, activations and "
                "pooling not counted"
            ),
            source=(
                "PyTorch FlopCounterMode / 2, with attention's math kernel, because "
                "the counter misses fused CPU kernels"
            ),
        ),
    )

    def evaluate(self, model: nn.Module, data: EvaluationData) -> Evaluation:
        """Count; see the base class."""
        shape = (1, *data.validation.images.shape[1:])
        with untouched(model):
            params = count_params(model)
            # The counter's hooks fail on views of weights that require gradients
            # (timm's attention pool).
            for parameter in model.parameters():
                parameter.requires_grad_(False)
            macs = count_macs(model, shape)
        return Evaluation(
            metrics={"params": float(params), "macs": float(macs)},
            details={"input_shape": list(shape)},
        )
