import json

import numpy as np
import pytest
import torch
from PIL import Image

from nas.config import DataConfig
from nas.data.datasets import load_dataset
from nas.data.preprocessing import Preprocessing
from search_spaces import InputError

RECORD = Preprocessing((0.1, 0.2, 1 / 3), (0.5, 0.25, 0.1), 4, ("cat", "dog"))


def test_reads_back_to_the_last_digit(tmp_path):
    RECORD.to_json(tmp_path / "p.json")
    assert Preprocessing.from_json(tmp_path / "p.json") == RECORD


def test_normalises_in_the_arithmetic_of_the_search():
    dataset = load_dataset(DataConfig(name="digits"))
    record = Preprocessing.of(dataset)
    split = dataset.image_set(dataset.validation)
    expected, _ = split.batch(slice(0, 50), torch.device("cpu"))
    assert torch.equal(
        record(torch.from_numpy(dataset.validation.images[:50])), expected
    )


def test_normalises_by_hand():
    pixels = torch.full((1, 3, 4, 4), 255, dtype=torch.uint8)
    got = RECORD(pixels)[0, :, 0, 0]
    assert got.tolist() == pytest.approx([0.9 / 0.5, 0.8 / 0.25, (2 / 3) / 0.1])
    assert torch.allclose(RECORD(pixels / 255), RECORD(pixels))


def test_image_files_become_what_the_search_saw(tmp_path):
    rng = np.random.default_rng(0)
    paths = []
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for index, size in enumerate([(9, 13), (13, 9), (8, 8), (31, 10), (5, 5)]):
            path = tmp_path / name / f"{index}.png"
            Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)).save(path)
            paths.append(path)
    config = DataConfig(name="imagefolder", root=str(tmp_path), image_size=8)
    dataset = load_dataset(config)
    seen = {
        image.tobytes()
        for split in (dataset.train, dataset.validation, dataset.test)
        for image in split.images
    }
    pixels = Preprocessing.of(dataset).open_images(paths)
    assert pixels.dtype == torch.uint8
    assert {image.numpy().tobytes() for image in pixels} == seen


def test_grey_images_for_a_network_of_one_channel(tmp_path):
    Image.new("RGB", (4, 4), (255, 255, 255)).save(tmp_path / "white.png")
    record = Preprocessing((0.5,), (0.5,), 4, ("a", "b"))
    pixels = record.open_images([tmp_path / "white.png"])
    assert pixels.shape == (1, 1, 4, 4)
    assert record(pixels).eq(1).all()


def test_a_file_that_is_no_image_is_told(tmp_path):
    (tmp_path / "x.png").write_text("no image")
    with pytest.raises(InputError, match="cannot be read: .*x.png"):
        RECORD.open_images([tmp_path / "x.png"])


@pytest.mark.parametrize(
    "change", [{"format": "other/1"}, {"mean": 3}, {"std": ["x"]}, {"image_size": None}]
)
def test_a_damaged_record_is_told(tmp_path, change):
    path = tmp_path / "p.json"
    RECORD.to_json(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=r"p.json must be a record of the format"):
        Preprocessing.from_json(path)
    path.write_text("{")
    with pytest.raises(InputError, match=r"p.json must be a record of the format"):
        Preprocessing.from_json(path)
