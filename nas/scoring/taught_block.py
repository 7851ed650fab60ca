"""One replacement block that learns from its slot, and its state on disk."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nas.config.parent import LibraryConfig
from nas.ledger.atomic_file import atomic_file
from nas.scoring.block_library import Key, name_of
from nas.scoring.replacement import block_seed, drawn_block
from search_spaces.block_spec import BlockSpec
from search_spaces.parents.parent import Parent

STATE = "unfinished"
"""Directory, inside that of a library, of blocks that are not finished."""


class TaughtBlock:
    """One block that is being taught, and its state on disk."""

    def __init__(
        self,
        parent: Parent,
        key: Key,
        spec: BlockSpec,
        made: str,
        seed: int,
        settings: LibraryConfig,
        directory: Path,
    ) -> None:
        self.block = drawn_block(parent, key, spec, seed)
        self._key, self._seed = key, seed
        self._file = directory / STATE / f"{name_of(key)}.pt"
        self._about = f"{parent.fingerprint} {made}"
        self.epoch = 0
        self.optimizer = torch.optim.AdamW(
            self.block.parameters(), lr=settings.learning_rate
        )
        if self._file.is_file():
            try:
                state: Any = torch.load(self._file, weights_only=True)
            except Exception:  # a broken file: begin anew
                return
            if state.get("about") == self._about:
                self.block.load_state_dict(state["block"])
                self.optimizer.load_state_dict(state["optimizer"])
                self.epoch = state["epoch"]

    def to(self, device: torch.device) -> None:
        """Move block and optimizer."""
        self.block.to(device)
        for state in self.optimizer.state.values():
            for name, value in state.items():
                if isinstance(value, Tensor) and name != "step":
                    state[name] = value.to(device)

    def step(self, inside: Tensor, outside: Tensor, rate: float, number: int) -> None:
        """Learn from one batch of the parent's maps.

        Args:
            inside: The slot's input.
            outside: Its output.
            rate: Learning rate.
            number: Of the step, from 0: what is random in a block follows from it.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        own = block_seed(self._key, self._seed) + (number << 32)
        cuda = [inside.device] if inside.is_cuda else []
        with torch.random.fork_rng(devices=cuda), torch.enable_grad():
            torch.manual_seed(own % 2**63)
            loss = (self.block(inside) - outside).square().mean() / _variance(outside)
            self.optimizer.zero_grad()
            loss.backward()
        self.optimizer.step()

    def keep(self) -> None:
        """Write down that an epoch is finished."""
        self.epoch += 1
        self._file.parent.mkdir(parents=True, exist_ok=True)
        state = {
            "about": self._about,
            "epoch": self.epoch,
            "block": self.block.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        with atomic_file(self._file) as file:
            torch.save(state, file)

    def forget(self) -> None:
        """Remove the state: the library holds the block."""
        self._file.unlink(missing_ok=True)
        with suppress(OSError):  # it has others, perhaps of another search by now
            self._file.parent.rmdir()


def _variance(maps: Tensor) -> Tensor:
    """Mean over channels of the variance over images and pixels."""
    return maps.var(dim=(0, 2, 3), unbiased=False).mean().clamp_min(1e-12)
