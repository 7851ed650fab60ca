"""Settings of the MSA blocks, and what each stage makes of them."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal, NamedTuple, cast, get_args

from search_spaces.errors import InputError, shown
from search_spaces.limits import MAX_SETTING

Size = Literal["reference", "matched"]
Setting = int | Literal["auto"]

MAX_AUTO_WINDOW = 7
"""Largest window ``auto`` picks: the reference's default (models/alternet.py)."""


@dataclass(frozen=True)
class Attention:
    """Settings of the MSA blocks; a tuple holds one value per stage.

    Attributes:
        heads: Number of heads, or ``"auto"``: 3, 6, 12, 24, ... from stage to stage
            (the paper's rule 3, more heads in later stages; models/alternet.py).
        head_dim: Channels of one head; ignored where ``size`` is ``"matched"``.
        window: Height (= width) of a window in feature-map pixels, or ``"auto"``:
            the largest one from 2 to 7 that divides the stage's map; where none does
            (maps of 1, 11, 13, 17, 19, 22, 23, ... pixels), the whole map, with a
            warning, because memory and time of a window grow with its fourth power.
        size: ``"reference"`` uses ``heads * head_dim`` channels inside the
            attention, as the paper does (1.47 times the parameters of the
            bottleneck it replaces). ``"matched"`` keeps the heads and picks, for
            each block, the head_dim that brings the block's parameter count
            closest to that of the Conv block it replaces, so that placement and
            size can be told apart (our choice; the paper has no such control). As
            head_dim is whole, a block misses by at most half of what one more
            channel a head weighs: below 1.2% in the ResNet presets, up to 6.2% with
            3 heads and 11% with 8 in the narrowest (``small_bottleneck``), where
            whole networks differ by at most 2%.

    Raises:
        InputError: A value is out of range.
    """

    heads: Setting | tuple[Setting, ...] = "auto"
    head_dim: int | tuple[int, ...] = 64
    window: Setting | tuple[Setting, ...] = "auto"
    size: Size = "reference"

    def __post_init__(self) -> None:
        for what in ("heads", "head_dim", "window"):
            value = getattr(self, what)
            if isinstance(value, list):
                value = tuple(value)
                object.__setattr__(self, what, value)
            values = value if isinstance(value, tuple) else (value,)
            for one in values:
                if one == "auto" and what != "head_dim":
                    continue
                if type(one) is not int or not 1 <= one <= MAX_SETTING:
                    allowed = "" if what == "head_dim" else " or auto"
                    raise InputError(
                        f"attention.{what} is a positive whole number{allowed}, or a "
                        f"list with one per stage, of at most {MAX_SETTING}; got "
                        f"{shown(value)}"
                    )
        if self.size not in get_args(Size):
            raise InputError(
                f"attention.size is one of {', '.join(get_args(Size))}; "
                f"got {shown(self.size)}"
            )

    def per_stage(
        self, num_stages: int, auto_heads: Sequence[int] | None = None
    ) -> "Attention":
        """The same settings with one value per stage and automatic heads decided.

        Args:
            num_stages: Stages of the backbone.
            auto_heads: Heads that ``"auto"`` means in each stage; the paper's if
                ``None``.

        Returns:
            Settings whose heads, head_dim and window are tuples.

        Raises:
            InputError: A setting lists another number of stages.
        """
        spread = {}
        for what in ("heads", "head_dim", "window"):
            value = getattr(self, what)
            values = value if isinstance(value, tuple) else (value,) * num_stages
            if len(values) != num_stages:
                raise InputError(
                    f"attention.{what} needs one value, or one per stage "
                    f"({num_stages}); got {len(values)}: {list(values)}"
                )
            spread[what] = values
        spread["heads"] = tuple(
            (3 * 2**stage if auto_heads is None else auto_heads[stage])
            if heads == "auto"
            else heads
            for stage, heads in enumerate(spread["heads"])
        )
        return replace(self, **spread)  # type: ignore[arg-type]

    def stage(self, number: int) -> "StageAttention":
        """The settings of one stage, after :meth:`per_stage`.

        Args:
            number: The stage, from 1.
        """
        heads, head_dim, window = (
            cast(tuple[Any, ...], getattr(self, what))[number - 1]
            for what in ("heads", "head_dim", "window")
        )
        return StageAttention(heads, head_dim, window, self.size)


class StageAttention(NamedTuple):
    """Attention settings of one stage; ``window`` may still be ``"auto"``."""

    heads: int
    head_dim: int
    window: Setting
    size: Size


def fitting_windows(map_size: int) -> list[int]:
    """Windows that tile a feature map of that height (= width)."""
    return [window for window in range(1, map_size + 1) if map_size % window == 0]


def resolve_window(window: Setting, map_size: int, stage: int) -> int:
    """The window used on a map, with ``auto`` decided.

    Args:
        window: Requested window.
        map_size: Height (= width) of the stage's map.
        stage: Stage, from 1 (for the message).

    Returns:
        A window that divides the map.

    Raises:
        InputError: The window does not divide the map.
    """
    fitting = fitting_windows(map_size)
    if window == "auto":
        in_range = [size for size in fitting if 2 <= size <= MAX_AUTO_WINDOW]
        if not in_range and map_size > 1:
            _warn_of_whole_map(map_size, stage)
        return max(in_range, default=map_size)
    if window not in fitting:
        raise InputError(
            f"a window must divide the feature map: window {window} does not divide "
            f"the {map_size}x{map_size} map of stage {stage}; "
            f"windows that fit: {', '.join(map(str, fitting))}, or auto"
        )
    return window


@cache
def _warn_of_whole_map(map_size: int, stage: int) -> None:
    """Say it once for each size: spaces build the same architectures many times."""
    warnings.warn(
        f"window: auto finds no window from 2 to {MAX_AUTO_WINDOW} that divides the "
        f"{map_size}x{map_size} map of stage {stage} and takes the whole map, "
        f"{map_size**2} tokens; another image_size gives smaller windows",
        stacklevel=4,
    )
