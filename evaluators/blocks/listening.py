"""Reading feature maps while a network runs."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

from evaluators.evaluator import EvaluationError
from search_spaces.errors import FeatureMapError
from search_spaces.networks.block_chain import Tap


@contextmanager
def listening(
    taps: Iterable[tuple[Hashable, Tap]], receive: Callable[[Any, Tensor], None]
) -> Iterator[None]:
    """Hand each tapped feature map to ``receive`` while the network runs.

    The tensor must be used at once: networks may write into it afterwards
    (``x += shortcut``). Hooks are removed on exit, whatever happens.

    Args:
        taps: Pairs of a key and the tap.
        receive: Called with the key and the map ``(batch, channels, height, width)``.

    Yields:
        Nothing; run the network inside.

    Raises:
        EvaluationError: A block does not pass a feature map.
    """
    with ExitStack() as stack:
        for key, tap in taps:
            # A hook that returns anything but None replaces the tensor.
            def before(
                _: nn.Module, inputs: tuple[Any, ...], key: Any = key, tap: Tap = tap
            ) -> None:
                receive(key, _read(tap, inputs[0] if inputs else None))

            def after(
                _: nn.Module, __: Any, output: Any, key: Any = key, tap: Tap = tap
            ) -> None:
                receive(key, _read(tap, output))

            if tap.side == "input":
                handle = tap.module.register_forward_pre_hook(before)
            else:
                handle = tap.module.register_forward_hook(after)
            stack.callback(handle.remove)
        yield


def _read(tap: Tap, tensor: object) -> Tensor:
    try:
        return tap.read(tensor)
    except FeatureMapError as error:
        raise EvaluationError(str(error)) from error
