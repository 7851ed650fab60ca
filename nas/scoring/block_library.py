"""For a trained parent, every slot's replacement blocks, fitted to what they replace.

With the blocks of a library a placement can be scored without training: the parent's
other blocks go on working, because the replacement passes on nearly the map that they
know. Trained networks are not promised to become better by it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from nas.ledger.atomic_file import write_atomically
from nas.ledger.regular_file import check_regular
from search_spaces.block_spec import BlockSpec
from search_spaces.errors import InputError
from search_spaces.parents.parent import Parent

LIBRARY_FILE = "library.safetensors"
FORMAT = "block-library/1"

Key = tuple[int, int, str]
"""Stage, block and letter."""


@dataclass(frozen=True)
class BlockLibrary:
    """Fitted blocks of one parent.

    Attributes:
        fingerprint: Of the parent whose blocks they imitate.
        blocks: In eval mode, by stage, block and letter.
        errors: Mean squared error of each on held-out images, divided by the variance
            of the parent's map about its channel means: 0 is the parent's own block, 1
            a constant.
        made: What was asked for of each, as text; a block made otherwise is not reused.
    """

    fingerprint: str
    blocks: Mapping[Key, nn.Module]
    errors: Mapping[Key, float]
    made: Mapping[Key, str] = field(default_factory=dict)

    def save(self, directory: Path) -> Path:
        """Write the library as one safetensors file.

        Args:
            directory: Where; made if it is missing.

        Returns:
            The file.
        """
        directory.mkdir(parents=True, exist_ok=True)
        tensors: dict[str, Tensor] = {}
        for key, block in self.blocks.items():
            for name, tensor in block.state_dict().items():
                tensors[f"{name_of(key)}/{name}"] = tensor.detach().cpu().contiguous()
        about = {
            name_of(key): {"error": self.errors[key], "made": self.made[key]}
            for key in self.blocks
        }
        metadata = {
            "format": FORMAT,
            "parent": self.fingerprint,
            "blocks": json.dumps(about),
        }
        path = directory / LIBRARY_FILE
        write_atomically(path, save(tensors, metadata))
        return path

    @classmethod
    def load(
        cls,
        directory: Path,
        parent: Parent,
        wanted: Mapping[Key, BlockSpec],
        made: Mapping[Key, str],
    ) -> "BlockLibrary":
        """Read those blocks of a library that a search can use.

        Args:
            directory: Where :meth:`save` wrote it.
            parent: The parent that the blocks must have been fitted to.
            wanted: Shapes of the blocks that are looked for.
            made: What is asked for of each.

        Returns:
            The blocks that are there; may be fewer than wanted.

        Raises:
            InputError: The file cannot be read, or is of another parent.
        """
        path = directory / LIBRARY_FILE
        try:
            check_regular(path)
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("format") != FORMAT:
                    raise InputError(
                        f"a block library has format {FORMAT}; {path} has "
                        f"{metadata.get('format')!r}"
                    )
                if metadata["parent"] != parent.fingerprint:
                    raise InputError(
                        f"a block library belongs to one parent; {path} was fitted to "
                        f"{metadata['parent']}, the parent {parent.source} with these "
                        f"weights is {parent.fingerprint}"
                    )
                about = json.loads(metadata["blocks"])
                blocks: dict[Key, nn.Module] = {}
                for key, spec in wanted.items():
                    name = name_of(key)
                    if about.get(name, {}).get("made") != made[key]:
                        continue
                    block = parent.candidate(spec)
                    state = {
                        entry: file.get_tensor(f"{name}/{entry}")
                        for entry in block.state_dict()
                    }
                    block.load_state_dict(state)
                    blocks[key] = block.eval()
        except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"{path} must be a block library: {' '.join(str(error).split())[:160]}",
                hint="nas distill writes one",
            ) from error
        errors = {key: float(about[name_of(key)]["error"]) for key in blocks}
        return cls(
            parent.fingerprint, blocks, errors, {key: made[key] for key in blocks}
        )


def name_of(key: Key) -> str:
    """``1.3-M``: stage, block, letter."""
    stage, block, letter = key
    return f"{stage}.{block}-{letter}"
