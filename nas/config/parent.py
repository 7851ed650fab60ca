"""Section ``parent``: the trained CNN that a search starts from."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from nas.config.section import Section
from search_spaces.errors import InputError
from search_spaces.parents.network_name import PUBLISHERS


class LibraryConfig(Section):
    """How the replacement blocks are taught to imitate the parent's.

    The defaults are those of a trial on CIFAR-10 (24 px, 9 slots): minutes, after which
    most blocks learn little more. Strided ones do: with 15 epochs in place of 3 the
    worst of them lost 9 points instead of 22 (results/cifar10-parent).

    Attributes:
        path: Directory of the library, e.g. what ``nas distill`` wrote; ``None``: the
            directory ``library`` of the study.
        epochs: Passes over the images.
        images: Training images of a pass, drawn anew for each; all if there are fewer.
        batch_size: Images in a step.
        learning_rate: Of AdamW at the start; half a cosine takes it to 0.
    """

    path: str | None = None
    epochs: int = Field(default=3, ge=1)
    images: int = Field(default=20_000, ge=2)
    batch_size: int = Field(default=128, ge=2)
    learning_rate: float = Field(default=2e-3, gt=0)


class ParentConfig(Section):
    """A trained CNN, and what is known about it.

    Attributes:
        train: Train the all-``C`` network of ``space`` first, with the recipe of
            ``training``, and take that; instead of ``model``.
        model: ``timm:NAME``, ``torchvision:NAME``, ``module:function`` (a function of
            yours that returns the network), or a directory with an AlterNet: an export,
            or ``STUDY/trials/NUMBER``.
        weights: File of its weights: safetensors, or what ``torch.save`` wrote.
        pretrained: Let timm or torchvision find the published weights.
        slots: Module names of the blocks that may be replaced, for networks whose
            blocks are not known; ``NAME:ACTIVATION`` says what follows their sum.
        library: How replacement blocks are taught.
    """

    train: bool = False
    model: str | None = Field(default=None, min_length=1)
    weights: str | None = None
    pretrained: bool = False
    slots: list[str] | None = None
    library: LibraryConfig = LibraryConfig()

    def with_library(self, directory: Path) -> Self:
        """The same parent with a library that is elsewhere.

        Args:
            directory: Of the library.
        """
        library = self.library.model_copy(update={"path": str(directory)})
        return self.model_copy(update={"library": library})

    @property
    def is_untrained(self) -> bool:
        """Whether its weights are drawn: a published network, or a file without any."""
        if self.weights is not None or self.pretrained:
            return False
        is_file = (self.model or "").endswith((".yaml", ".yml"))
        return is_file or self._library in PUBLISHERS

    @property
    def own_modules(self) -> tuple[str, ...]:
        """The module of the user whose function makes the network, if one does."""
        library = self._library
        return (library,) if library and library not in PUBLISHERS else ()

    @property
    def _library(self) -> str:
        """What stands before the colon in the name of the network, if one does."""
        library, colon, _ = (self.model or "").partition(":")
        return library if colon else ""

    @model_validator(mode="after")
    def _one_network(self) -> Self:
        if self.train and (given := self._given()):
            raise InputError(
                "parent.train trains the all-Conv network of the space, so "
                f"{' and '.join(given)} must be left out"
            )
        if not self.train and self.model is None:
            raise InputError(
                "a parent is a trained CNN: name it as parent.model, or let the search "
                "train the all-Conv network of the space with parent.train: true"
            )
        return self

    def _given(self) -> list[str]:
        """Keys that say what the network is."""
        names = ("model", "weights", "pretrained", "slots")
        return [f"parent.{name}" for name in names if getattr(self, name)]

    @model_validator(mode="after")
    def _one_source_of_weights(self) -> Self:
        if self.pretrained and self.weights is not None:
            raise InputError(
                "a parent has weights of a file or published ones; got parent.weights "
                f"{self.weights!r} and parent.pretrained true"
            )
        return self
