"""Section ``training``: one recipe for every trial, and the paper's."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from nas.config.section import Section
from search_spaces.errors import InputError


def shorter_warmup(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> dict[str, Any]:
    """A recipe for fewer epochs than its warm-up, which nobody has changed, has.

    Args:
        before: The recipe as it was written.
        after: The same with changes.

    Returns:
        ``after``; where its epochs are fewer than a warm-up that is that of ``before``,
        the warm-up keeps its share of the epochs.
    """
    warmup, whole = before.get("warmup_epochs"), before.get("epochs")
    epochs = after.get("epochs")
    if (
        isinstance(warmup, int | float)
        and isinstance(whole, int)
        and isinstance(epochs, int)
        # Numbers that no training has are left to the checks of the values.
        and 1 <= epochs < warmup <= whole <= 1_000_000
        and after.get("warmup_epochs") == warmup
    ):
        return {**after, "warmup_epochs": round(warmup / whole * epochs, 3)}
    return dict(after)


class TrainingConfig(Section):
    """One recipe for every candidate.

    Attributes:
        recipe: Where unset values come from: ``default`` (ours, for short runs on
            small data), ``fast`` (the best of what docs/recipe.md measured: Muon)
            or ``paper`` (configs/cifar100_vit.yaml of the reference: 5 + 300 epochs;
            docs/paper_recipe.md says what differs).
        epochs: Total epochs, warm-up included.
        batch_size: Images in a step.
        last_batch: ``drop`` leaves out the images that do not fill a batch at the end
            of an epoch, ``keep`` trains on them too (as the reference does).
        optimizer: ``adamw``, ``sgd`` (Nesterov), or ``muon`` (Jordan et al., 2024):
            the weights inside the residual blocks by Muon, the rest by Nesterov SGD.
        learning_rate: Peak learning rate; with ``muon``, that of the SGD.
        muon_learning_rate: Peak learning rate of Muon; the size of its steps does not
            depend on that of the gradients.
        momentum: Of ``sgd`` and of ``muon``.
        weight_decay: Of AdamW (decoupled) or SGD (L2); not applied to norms, biases and
            position biases, nor to what Muon moves.
        warmup_epochs: Linear warm-up, step by step.
        warmup_start: ``moves`` (the first step has a rate above 0) or ``zero`` (it has
            0, as in ops/schedulers.py of the reference).
        decay: After the warm-up, half a ``cosine`` or a ``linear`` fall to 0.
        averaging: Decay per step of the exponential moving average of the weights,
            which is then what is validated, evaluated and saved; 0 is off.
        label_smoothing: Of the cross-entropy.
        mixup: Alpha of mixup; 0 is off.
        cutmix: Alpha of CutMix; 0 is off. With both, one of them at random a batch.
        randaugment: Magnitude of RandAugment with two operations; 0 is off. The
            libraries' scales differ: 0 to 30 in torchvision, 0 to 10 in timm.
        randaugment_library: ``torchvision`` or ``timm`` (``rand-m9-n2-mstd1.0``: an
            operation is applied with probability 0.5, at a noisy magnitude).
        randaugment_std: Standard deviation of the magnitude, in timm alone.
        crop_padding: Pixels of padding before a random crop; 0 is off.
        crop_border: What is padded: ``black``, or the image's mirror image
            (``reflect``, as in airbench).
        random_resized_crop: Smallest share of an image's area that a random part cut
            out of it has (ImageNet recipes: 0.08); the part is resized to
            ``data.image_size``. For photographs, with ``data.store_size``; 0 is off.
        horizontal_flip: Probability of a mirror image.
        flip: ``random`` draws anew for each image and epoch; ``alternating`` draws
            for the first epoch and mirrors the others in the next, so that two epochs
            show both sides (Jordan, 2024, arXiv 2404.00498).
        stem_init: ``random``, or ``whitened``: the first conv starts with filters that
            whiten patches of the training images (nas/scoring/whitened_stem.py).
        drop_path: Largest drop-path rate, at the last block.
        clip_norm: Largest gradient norm; 0 is off.
        watched_images: Validation images, drawn once, that are looked at after each
            epoch but the last, which sees all of them; ``None`` for all every time
            (a tenth of a training epoch's time each where a fifth is held out).
    """

    recipe: Literal["default", "fast", "paper"] = "default"
    epochs: int = Field(default=10, ge=1)
    batch_size: int = Field(default=64, ge=2)
    last_batch: Literal["drop", "keep"] = "drop"
    optimizer: Literal["adamw", "sgd", "muon"] = "adamw"
    learning_rate: float = Field(default=2e-3, gt=0)
    muon_learning_rate: float = Field(default=0.02, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=0.05, ge=0)
    warmup_epochs: float = Field(default=1.0, ge=0)
    warmup_start: Literal["moves", "zero"] = "moves"
    decay: Literal["cosine", "linear"] = "cosine"
    averaging: float = Field(default=0.0, ge=0, lt=1)
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    mixup: float = Field(default=0.0, ge=0)
    cutmix: float = Field(default=0.0, ge=0)
    randaugment: int = Field(default=0, ge=0, le=30)
    randaugment_library: Literal["torchvision", "timm"] = "torchvision"
    randaugment_std: float = Field(default=0.0, ge=0)
    crop_padding: int = Field(default=0, ge=0)
    crop_border: Literal["black", "reflect"] = "black"
    random_resized_crop: float = Field(default=0.0, ge=0, lt=1)
    horizontal_flip: float = Field(default=0.0, ge=0, le=1)
    flip: Literal["random", "alternating"] = "random"
    stem_init: Literal["random", "whitened"] = "random"
    drop_path: float = Field(default=0.0, ge=0, lt=1)
    clip_norm: float = Field(default=5.0, ge=0)
    watched_images: int | None = Field(default=None, ge=1)
    amp: Literal["auto", "off", "bf16"] = "auto"
    channels_last: Literal["auto", "on", "off"] = "auto"

    @model_validator(mode="before")
    @classmethod
    def _fill_from_recipe(cls, values: Any) -> Any:
        if isinstance(values, dict):
            recipe = RECIPES.get(str(values.get("recipe")), {})
            return shorter_warmup(recipe, {**recipe, **values})
        return values

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.warmup_epochs > self.epochs:
            raise InputError(
                "training.warmup_epochs <= training.epochs must hold, "
                f"got {self.warmup_epochs:g} and {self.epochs}"
            )
        if self.flip == "alternating" and not self.horizontal_flip:
            raise InputError(
                "training.flip: alternating needs training.horizontal_flip > 0 (the "
                "share of images that are mirrored in the first epoch), got 0"
            )
        if self.randaugment_library == "timm" and self.randaugment > 10:
            raise InputError(
                "training.randaugment is at most 10 with training.randaugment_library: "
                f"timm, got {self.randaugment}"
            )
        if self.randaugment_library != "timm" and self.randaugment_std:
            raise InputError(
                "training.randaugment_std needs training.randaugment_library: timm, "
                f"got {self.randaugment_library}"
            )
        return self

    @model_validator(mode="after")
    def _crops_once(self) -> Self:
        if self.random_resized_crop and self.crop_padding:
            raise InputError(
                "training.random_resized_crop and training.crop_padding exclude each "
                f"other, got {self.random_resized_crop:g} and {self.crop_padding}; set "
                "one of them to 0"
            )
        return self


PAPER_RECIPE: dict[str, Any] = {
    # configs/cifar100_vit.yaml of the reference, "mostly used in the paper".
    "epochs": 305,  # 5 of warm-up, then 300
    "batch_size": 96,
    "learning_rate": 1.25e-4,
    "weight_decay": 0.05,
    "warmup_epochs": 5.0,
    "warmup_start": "zero",
    "last_batch": "keep",
    "label_smoothing": 0.1,
    "mixup": 1.0,
    "cutmix": 0.8,
    "randaugment": 9,  # rand-m9-n2-mstd1.0
    "randaugment_library": "timm",
    "randaugment_std": 1.0,
    "crop_padding": 4,
    "horizontal_flip": 0.5,
    # The config says 0.1, but the released notebook never passes it on.
    "drop_path": 0.0,
    "clip_norm": 5.0,
}

FAST_RECIPE: dict[str, Any] = {
    # Measured one by one: docs/recipe.md.
    "epochs": 12,
    "batch_size": 128,
    "optimizer": "muon",
    "learning_rate": 0.1,
    "muon_learning_rate": 0.02,
    "momentum": 0.9,
    "weight_decay": 5e-4,
    "warmup_epochs": 2.4,  # the peak at a fifth, as in airbench
    "decay": "linear",
    "label_smoothing": 0.1,
    "crop_padding": 2,
    "crop_border": "reflect",
    "horizontal_flip": 0.5,
    "flip": "alternating",
    "stem_init": "whitened",
    "clip_norm": 0.0,
    "watched_images": 1000,
}

RECIPES = {"paper": PAPER_RECIPE, "fast": FAST_RECIPE}
