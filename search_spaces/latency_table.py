"""Latency known before training: measured block times of one device, summed up.

The time of a network is estimated by the sum of the times of its blocks, stem and
head, each measured alone, as ProxylessNAS (Cai et al., ICLR 2019, section 3.3) and
Once-for-all do. A table belongs to one device, batch size and image size.
``evaluators.cost.block_latency`` measures one; ``benchmarks/latency_estimate.py`` says
how well the sums agree with whole networks.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from search_spaces.block_spec import BlockSpec
from search_spaces.errors import InputError, shown
from search_spaces.kinds.block_kinds import block_kind

FORMAT = "latency/1"

_SECONDS = 1e-9
"""Times are kept in whole nanoseconds: sums then do not depend on their order."""


def block_key(spec: BlockSpec) -> str:
    """What the time of a block depends on, as text; equal for equal shapes.

    Args:
        spec: Shapes of the block; where it stands does not matter.
    """
    return block_kind(spec.letter).latency_key(spec)


@dataclass(frozen=True)
class LatencyTable:
    """Times of blocks on one device.

    Attributes:
        device: Name of the device, e.g. ``cpu`` or ``NVIDIA H100 80GB HBM3``.
        batch_size: Images of the forward pass that was timed.
        fixed: Nanoseconds of stem and head together.
        blocks: Nanoseconds of each block by its :func:`block_key`.

    Raises:
        InputError: A time is not a positive whole number.
    """

    device: str
    batch_size: int
    fixed: int
    blocks: Mapping[str, int]

    def __post_init__(self) -> None:
        named = {"batch_size": self.batch_size, "fixed": self.fixed, **self.blocks}
        for name, value in named.items():
            if type(value) is not int or value < 1:
                raise InputError(
                    "a latency table holds positive whole numbers of nanoseconds, "
                    f"got {value!r} for {name!r}"
                )

    def nanoseconds(self, specs: Iterable[BlockSpec]) -> int:
        """Time of some blocks, without stem and head.

        Args:
            specs: Their shapes.

        Raises:
            InputError: A block is not in the table.
        """
        total = 0
        for spec in specs:
            key = block_key(spec)
            if key not in self.blocks:
                raise InputError(
                    "a latency table must hold every block of the space; "
                    f"{key!r} is missing: measure it again",
                    hint="nas space CONFIG --measure-latency FILE.yaml",
                )
            total += self.blocks[key]
        return total

    def seconds(self, specs: Iterable[BlockSpec]) -> float:
        """Estimated seconds of a forward pass of a batch through a whole network.

        Args:
            specs: The shapes of all its blocks.

        Raises:
            InputError: A block is not in the table.
        """
        blocks = self.nanoseconds(specs)
        return (self.fixed + blocks) * _SECONDS

    def to_dict(self) -> dict[str, Any]:
        """The ``latency/1`` form as plain data; the inverse of :meth:`from_dict`."""
        return {
            "format": FORMAT,
            "device": self.device,
            "batch_size": self.batch_size,
            "nanoseconds": {"stem and head": self.fixed, **self.blocks},
        }

    @classmethod
    def from_dict(cls, data: Any) -> "LatencyTable":
        """Read the ``latency/1`` form.

        Args:
            data: A mapping as :meth:`to_dict` writes it.

        Raises:
            InputError: It is no such mapping.
        """
        keys = ("format", "device", "batch_size", "nanoseconds")
        if not isinstance(data, Mapping) or data.get("format") != FORMAT:
            raise InputError(
                f"a latency table is a mapping with format: {FORMAT}, "
                f"got {shown(data)}",
                hint="nas space CONFIG --measure-latency FILE.yaml writes one",
            )
        if set(data) != set(keys) or not isinstance(data["nanoseconds"], Mapping):
            raise InputError(
                f"a latency table has the keys {', '.join(keys)}; "
                f"got {', '.join(map(str, data))}"
            )
        times = dict(data["nanoseconds"])
        if "stem and head" not in times:
            raise InputError("a latency table needs the time of 'stem and head'")
        fixed = times.pop("stem and head")
        return cls(str(data["device"]), data["batch_size"], fixed, times)
