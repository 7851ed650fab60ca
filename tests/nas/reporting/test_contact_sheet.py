from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from nas.config import config_from_dict
from nas.reporting.contact_sheet import NUM_IMAGES, contact_sheet


def config(**data):
    return config_from_dict({"data": {"name": "digits", **data}})


def test_the_pictures_are_validation_images_then_training_images():
    from nas.data.datasets import load_dataset

    found = contact_sheet(config())
    dataset = load_dataset(config().data)
    assert found["counts"]["train"] == len(dataset.train.labels)
    assert found["image_size"] == dataset.image_size
    assert len(found["labels"]) == NUM_IMAGES
    picture = Image.open(BytesIO(b64decode(found["src"].split(",")[1])))
    assert (picture.width, picture.height) == (found["width"], found["height"])
    # the first tile is one of the validation images of the class that is named
    pixels = np.asarray(picture)[:, :, 0]
    factor = picture.height // (2 * (dataset.image_size + 4))
    small = pixels[::factor, ::factor]
    tile = small[2 : dataset.image_size + 2, 2 : dataset.image_size + 2]
    label = dataset.class_names.index(found["labels"][0])
    candidates = dataset.validation.images[dataset.validation.labels == label, 0]
    assert (np.abs(candidates.astype(int) - tile).max(axis=(1, 2)) <= 1).any()


@pytest.mark.parametrize("name", ["imagefolder", "somebody_elses"])
def test_images_that_are_not_there_are_a_sentence(name, tmp_path):
    section = config().data.model_copy(
        update={"name": name, "root": str(tmp_path / "none"), "image_size": 8}
    )
    wanted = config().model_copy(update={"data": section})
    assert contact_sheet(wanted)["reason"]
    assert "src" not in contact_sheet(wanted)
