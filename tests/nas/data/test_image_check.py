import os

import numpy as np
import pytest
from image_folders import noise_folder
from PIL import Image

from nas.config import config_from_dict
from nas.data import image_check
from nas.data.datasets import load_dataset
from nas.data.image_check import check_images
from nas.data.image_files import scan_image_folder
from nas.execution import doctor
from nas.execution.doctor import Level
from search_spaces.errors import InputError


def photograph(path, **options):
    """A JPEG of noise; its own end is far behind the end of its preview."""
    pixels = np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, quality=95, **options)
    return path.read_bytes()


@pytest.fixture
def folder(tmp_path):
    """Twelve whole images, and one of each kind of damage."""
    root = noise_folder(tmp_path / "photos", {"cat": 6, "dog": 6})
    whole = photograph(root / "cat" / "whole.jpg")
    preview = b"Exif\0\0" + whole[:200] + b"\xff\xd9"
    large = photograph(root / "cat" / "large.jpg", exif=preview)
    (root / "dog" / "behind.jpg").write_bytes(whole + b"\0" * 500)  # reads well
    Image.new("RGB", (9, 9)).save(root / "dog" / "whole.bmp")
    png = (root / "cat" / "000.png").read_bytes()
    broken = {
        "cat/cut.png": png[: len(png) // 2],
        "cat/cut_late.png": png[:-60],
        "dog/cut.jpg": large[: len(large) // 2],
        "dog/text.jpg": b"no image\n",
        "dog/empty.jpg": b"",
    }
    for name, content in broken.items():
        (root / name).write_bytes(content)
    (root / "cat" / "dangling.png").symlink_to("nowhere.png")
    os.mkfifo(root / "cat" / "pipe.jpg")
    return root, {*broken, "cat/dangling.png", "cat/pipe.jpg"}


@pytest.mark.parametrize("decoded", [1000, 3, 1])
def test_it_finds_what_a_search_cannot_read_and_nothing_else(
    folder, monkeypatch, decoded
):
    root, broken = folder
    monkeypatch.setattr(image_check, "DECODED", decoded)
    found = check_images(scan_image_folder(root), 8)
    assert {name for name, _ in found.broken} == broken
    assert all(reason for _, reason in found.broken)
    assert found.num_files == 23
    assert found.num_decoded == min(decoded, 23)
    assert found.num_decoded + found.num_opened == 23
    # Those are the files that a search leaves out.
    data = {"name": "imagefolder", "root": str(root), "image_size": 8, "cache": False}
    with pytest.raises(InputError, match="7 of 23 images cannot be read"):
        load_dataset(config_from_dict({"data": data}).data)


def test_it_says_how_many_it_looked_at(tmp_path, monkeypatch):
    files = scan_image_folder(noise_folder(tmp_path, {"cat": 6, "dog": 6}))
    assert check_images(files, 8).text() == "all 12 images decoded"
    monkeypatch.setattr(image_check, "DECODED", 4)
    text = check_images(files, 8).text()
    assert text == "4 of 12 images decoded, start and end of the others read"
    monkeypatch.setattr(image_check, "SECONDS", 0.0)
    text = check_images(files, 8).text()
    assert text == "0 of 12 images decoded, start and end of 0 others read in 0 s"


def test_the_doctor_names_broken_images(folder, tmp_path):
    root, broken = folder
    config = tmp_path / "photos.yaml"
    data = f"data: {{name: imagefolder, root: {root}, image_size: 32, on_error: %s}}\n"
    for on_error, level in (("stop", Level.BAD), ("skip", Level.WARNING)):
        config.write_text(data % on_error)
        found = doctor.images(str(config))
        assert found.level is level
        assert "all 23 images decoded; 7 cannot be read: cat/cut.png (" in found.found
    for name in broken:
        (root / name).unlink()
    assert doctor.images(str(config)).level is Level.GOOD
