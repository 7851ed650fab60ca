"""`nas probe`: a last layer for other classes, against a network that is known."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from nas.cli import main
from nas.commands.search import start_from
from nas.config.loading import with_changes
from nas.config.parent import ParentConfig
from nas.data.datasets import Dataset, Split
from nas.scoring.linear_probe import fit_probe
from search_spaces.errors import InputError


class Brightness(nn.Module):
    """Features: the mean of each quarter; the weights before the layer are kept."""

    def __init__(self, classes: int = 7, *, bias: bool = True) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.pool = nn.AdaptiveAvgPool2d(2)
        self.fc = nn.Linear(4, classes, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc((self.scale * self.pool(x)).flatten(1))


def network() -> nn.Module:
    return Brightness()


def without_bias() -> nn.Module:
    return Brightness(bias=False)


def without_linear() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def code(argv: list[str]) -> int:
    with pytest.raises(SystemExit) as ended:
        main(argv)
    return int(ended.value.code or 0)


HERE = f"{__name__}:network"


def bright_quarters(num: int, classes: int = 4) -> Dataset:
    """Class = the quarter that is bright: linear in the features."""
    rng = np.random.default_rng(0)
    labels = np.arange(num) % classes
    images = rng.integers(0, 60, (num, 1, 8, 8)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        row, column = 4 * (label // 2), 4 * (label % 2)
        image[0, row : row + 4, column : column + 4] += 150
    split = Split(images, labels.astype(np.int64))
    names = tuple(str(one) for one in range(classes))
    return Dataset("quarters", split, split, split, names, (0.3,), (0.3,))


def probe(dataset: Dataset, model: str = HERE, weights: str | None = None, n: int = 99):
    return fit_probe(
        ParentConfig(model=model, weights=weights),
        dataset,
        max_images=n,
        seed=0,
        tell=lambda _line: None,
    )


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("bias", [True, False])
def test_learns_classes_that_are_linear_in_the_features(
    classes: int, bias: bool, tmp_path: Path
) -> None:
    old = Brightness(7, bias=bias)
    with torch.no_grad():
        old.scale.fill_(2.5)
    save_file(old.state_dict(), tmp_path / "old.safetensors")
    found = probe(
        bright_quarters(60, classes),
        model=HERE if bias else f"{__name__}:without_bias",
        weights=str(tmp_path / "old.safetensors"),
    )
    # What is written must be what the network has.
    assert found.model.state_dict().keys() == old.state_dict().keys()
    assert found.accuracy == 1.0
    assert (found.layer, found.old_classes, found.num_images) == ("fc", 7, 60)
    assert found.model.state_dict()["scale"].item() == 2.5  # the rest is as it was
    assert found.model.state_dict()["fc.weight"].shape == (classes, 4)


def test_labels_that_say_nothing_are_not_learned() -> None:
    data = bright_quarters(400)
    mixed = np.random.default_rng(1).permutation(data.train.labels)
    found = probe(replace(data, train=Split(data.train.images, mixed)), n=400)
    assert found.accuracy < 0.6


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (f"{__name__}:without_linear", "the last torch.nn.Linear"),
        ("timm:resnet18", "parent.weights"),
        ("resnet18", "timm:NAME"),
    ],
)
def test_what_has_no_layer_or_no_weights_is_refused(model: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        probe(bright_quarters(40), model)


def test_every_class_needs_images() -> None:
    data = replace(bright_quarters(40), class_names=tuple("abcde"))
    with pytest.raises(InputError, match="1 of 5 have none"):
        probe(data)


def test_command_writes_weights_that_a_parent_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(
        f"data: {{name: digits}}\nparent: {{model: '{__name__}:network'}}\n"
    )
    to = tmp_path / "new.safetensors"
    argv = ["probe", str(config), "--to", str(to), "--quiet", "--format", "json"]
    assert code([*argv, "--images", "300"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["old_classes"] == 7 and record["accuracy"] > 0.2
    assert load_file(to)["fc.weight"].shape == (10, 4)
    assert code(argv) == 2  # it is there already
    assert "--force" in capsys.readouterr().err


class Early(Brightness):
    """Its last layer is registered first, and another linear layer after it."""

    def __init__(self) -> None:
        super().__init__()
        self.excite = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = self.pool(x).flatten(1)
        return self.fc(features * self.excite(features).exp())


def early() -> nn.Module:
    return Early()


def scaled() -> nn.Module:
    return nn.Sequential(Brightness(), nn.Softmax(1))


def test_the_layer_is_the_one_that_gives_the_logits() -> None:
    found = probe(bright_quarters(80), f"{__name__}:early")
    assert found.layer == "fc"
    assert found.accuracy == 1
    with pytest.raises(InputError, match="the last torch.nn.Linear, whose output"):
        probe(bright_quarters(80), f"{__name__}:scaled")


def test_a_file_of_any_name_is_read(tmp_path: Path) -> None:
    for name in ("of 3: a #1.pt", "\U0001f600 \u00e9.pt", "123", "null"):
        file = tmp_path / name
        file.touch()
        changes = start_from(str(file))
        assert with_changes({}, changes) == {"parent": {"weights": str(file)}}


def test_a_directory_brings_its_own_weights(tmp_path: Path) -> None:
    """Those that the config names are of another network."""
    (tmp_path / "architecture.yaml").touch()
    given = {"parent": {"model": "timm:resnet18", "weights": "w", "slots": ["a"]}}
    found = with_changes(given, start_from(str(tmp_path)))["parent"]
    assert ParentConfig(**found) == ParentConfig(model=str(tmp_path))
