"""For a trained parent, every slot's replacement blocks, fitted to what they replace.

With the blocks of a library a placement can be scored without training: the parent's
other blocks go on working, because the replacement passes on nearly the map that they
know. Trained networks are not promised to become better by it.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from nas.ledger.atomic_file import write_atomically
from nas.ledger.regular_file import check_regular
from search_spaces.block_spec import BlockSpec
from search_spaces.errors import InputError, one_line
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
        images: Fingerprint of the images that each was taught on, where it is known.
    """

    fingerprint: str
    blocks: Mapping[Key, nn.Module]
    errors: Mapping[Key, float]
    made: Mapping[Key, str] = field(default_factory=dict)
    images: Mapping[Key, str] = field(default_factory=dict)

    def save(self, directory: Path) -> Path:
        """Write the library as one safetensors file.

        Blocks of the same parent that the file has besides stay in it: another search
        uses them.

        Args:
            directory: Where; made if it is missing.

        Returns:
            The file.
        """
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / LIBRARY_FILE
        names = {name_of(key) for key in self.blocks}
        about, tensors = _others(path, self.fingerprint, names)
        for key, block in self.blocks.items():
            for name, tensor in block.state_dict().items():
                tensors[f"{name_of(key)}/{name}"] = tensor.detach().cpu().contiguous()
            about[name_of(key)] = {
                "error": self.errors[key],
                "made": self.made[key],
                **({"images": self.images[key]} if key in self.images else {}),
            }
        metadata = {
            "format": FORMAT,
            "parent": self.fingerprint,
            "blocks": json.dumps(about),
        }
        write_atomically(path, save(tensors, metadata))
        return path

    @staticmethod
    def made_otherwise(directory: Path, made: Mapping[Key, str]) -> list[str]:
        """Names of those blocks of a library that are not what a search asks for.

        Args:
            directory: Where :meth:`save` wrote it, or :meth:`load` has just read it.
            made: What is asked for of each.
        """
        with safe_open(directory / LIBRARY_FILE, framework="pt") as file:
            about = json.loads(file.metadata()["blocks"])
        wanted = {name_of(key): of for key, of in made.items()}
        return [n for n in about if n in wanted and about[n].get("made") != wanted[n]]

    @classmethod
    def load(
        cls,
        directory: Path,
        parent: Parent,
        wanted: Mapping[Key, BlockSpec],
        made: Mapping[Key, str],
        images: str | None = None,
    ) -> "BlockLibrary":
        """Read those blocks of a library that a search can use.

        Args:
            directory: Where :meth:`save` wrote it.
            parent: The parent that the blocks must have been fitted to.
            wanted: Shapes of the blocks that are looked for.
            made: What is asked for of each.
            images: Fingerprint of the images that they must have been taught on; any if
                ``None``.

        Returns:
            The blocks that are there; may be fewer than wanted.

        Raises:
            InputError: The file cannot be read, or is of another parent or of other
                images.
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
                    taught_on = about[name].get("images")
                    if images is not None and taught_on not in (None, images):
                        raise InputError(
                            f"a block library belongs to the images that taught it; "
                            f"{name} of {path} learned from {taught_on}, the images "
                            f"are {images}: name another directory"
                        )
                    block = parent.candidate(spec)
                    state = {
                        entry: file.get_tensor(f"{name}/{entry}")
                        for entry in block.state_dict()
                    }
                    block.load_state_dict(state)
                    blocks[key] = block.eval()
        except InputError:
            raise
        except (
            SafetensorError, OSError, LookupError, ValueError, RuntimeError,
            AttributeError, TypeError,
        ) as error:  # fmt: skip
            raise InputError(
                f"{path} must be a block library: {one_line(error, 160)}",
                hint="nas distill writes one",
            ) from error
        records = {key: about[name_of(key)] for key in blocks}
        return cls(
            parent.fingerprint,
            blocks,
            {key: float(one["error"]) for key, one in records.items()},
            {key: made[key] for key in blocks},
            {k: str(one["images"]) for k, one in records.items() if "images" in one},
        )


def _others(
    path: Path, fingerprint: str, names: Collection[str]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Records and tensors of the blocks of a file that have none of some names."""
    if not path.is_file():
        return {}, {}
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        if (metadata.get("format"), metadata.get("parent")) != (FORMAT, fingerprint):
            return {}, {}
        about = json.loads(metadata["blocks"])
        kept = {name: one for name, one in about.items() if name not in names}
        tensors = {
            entry: file.get_tensor(entry)
            for entry in file.keys()  # noqa: SIM118 - it is no mapping
            if entry.partition("/")[0] in kept
        }
    return kept, tensors


def name_of(key: Key) -> str:
    """``1.3-M``: stage, block, letter."""
    stage, block, letter = key
    return f"{stage}.{block}-{letter}"
