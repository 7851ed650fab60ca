"""One deliberately filthy image folder, as people have them."""

import io
import os

import numpy as np
import pytest
from PIL import Image, ImageOps

from nas.config import DataConfig
from nas.data.datasets import image_shape, load_dataset
from search_spaces import InputError
from tests.nas.data.image_folders import (
    at_rest,
    noise_folder,
    old_decode,
    ordinary_user,
)

SIZE = 8
UNICODE = "Füchse 狐\N{FOX FACE}"


def content(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def gradient(mode="RGB", size=(40, 20)) -> Image.Image:
    """Dark on the left and bright on the right."""
    return Image.linear_gradient("L").rotate(90).resize(size).convert(mode)


@pytest.fixture
def filthy(tmp_path, monkeypatch):
    """Its unreadable files, by name."""
    at_rest(tmp_path, monkeypatch)
    root = tmp_path / "photos"
    noise_folder(root, {"cat": 6, "dog": 6, UNICODE: 6, ".git": 1, "cat/.thumbs": 1})
    cat, dog = root / "cat", root / "dog"
    good = (cat / "000.png").read_bytes()
    bad = {
        "cat/corrupt.png": good[:40] + b"\xff" * (len(good) - 40),
        "cat/truncated.jpg": content(gradient(), "JPEG")[:-150],
        "cat/empty.jpg": b"",
        "dog/text.jpg": b"this is no image\n",
        "dog/html.png": b"<!DOCTYPE html><title>404</title>",
        "dog/zip.webp": b"PK\x03\x04" + bytes(100),
        "dog/float.tif": content(Image.new("F", (9, 9), 0.5), "TIFF"),
    }
    for name, data in bad.items():
        (root / name).write_bytes(data)
    (cat / "gone.png").symlink_to("nowhere.png")
    bad["cat/gone.png"] = b""
    (cat / "itself.png").symlink_to("itself.png")
    bad["cat/itself.png"] = b""
    os.mkfifo(dog / "pipe.jpg")
    bad["dog/pipe.jpg"] = b""

    # what Pillow can read
    (dog / "cmyk.jpg").write_bytes(content(gradient("CMYK"), "JPEG"))
    sixteen = (np.asarray(gradient(), np.uint16)[..., 0] * 257).astype(np.uint16)
    Image.fromarray(sixteen).save(dog / "16bit.png")
    Image.fromarray(sixteen).save(dog / "16bit.tif")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    gradient().save(dog / "turned.jpg", exif=exif, quality=95)
    palette = gradient().quantize(16)
    palette.save(dog / "palette.png", transparency=bytes(range(16)))
    gradient("RGBA").save(dog / "alpha.png")
    gradient("1").save(dog / "bilevel.png")
    gradient("LA").save(dog / "grey-alpha.png")
    Image.new("RGB", (1, 1), (10, 20, 30)).save(dog / "pixel.png")
    Image.new("L", (1, 3000), 9).save(dog / "strip.png")
    gradient(size=(4000, 3000)).save(dog / "photo.jpg", quality=60)
    (dog / "UPPER.JPEG").write_bytes(content(gradient(), "JPEG"))
    (dog / "wrong-suffix.png").write_bytes(content(gradient(), "JPEG"))
    (dog / "control\n\x1b[31m.png").write_bytes(good)
    (root / os.fsdecode(b"dog/latin1-\xe9.png")).write_bytes(good)

    # what is passed over, or taken from a deeper directory
    gradient().save(cat / "film.gif")
    (cat / "Thumbs.db").write_bytes(b"x")
    (cat / ".DS_Store").write_bytes(b"x")
    (cat / "._000.png").write_bytes(b"\0\5\x16\7")
    (root / "empty").mkdir()
    (root / "only-text").mkdir()
    (root / "only-text" / "readme.txt").write_text("hello")
    (root / "loose.png").write_bytes(good)
    nested = cat / "2024" / "may"
    nested.mkdir(parents=True)
    gradient("L").save(nested / "nested.png")
    (nested / "loop").symlink_to(cat)
    (cat / "loop").symlink_to(root)
    (root / "single").mkdir()
    gradient().save(root / "single" / "one.png")
    return root, set(bad)


def config_of(root, **changes):
    return DataConfig(name="imagefolder", root=str(root), image_size=SIZE, **changes)


def test_stop_lists_every_unreadable_file_at_once(filthy):
    root, bad = filthy
    messages = []
    for _ in range(2):  # the second time from the cache
        with pytest.raises(InputError) as caught:
            load_dataset(config_of(root))
        messages.append(str(caught.value))
    message = messages[0]
    assert messages[1] == message
    assert f"{len(bad)} of " in message and "data.on_error: skip" in message
    for name in bad:
        assert f"{name} (" in message
    for reason in ("empty.jpg (the file is empty)", "text.jpg (it is no image", "tru"):
        assert reason in message
    assert message.isprintable()


def test_skip_keeps_everything_else(filthy):
    root, bad = filthy
    datasets = [load_dataset(config_of(root, on_error="skip")) for _ in range(2)]
    first, second = datasets
    assert first.fingerprint == second.fingerprint and first.notes == second.notes
    assert first.class_names == tuple(sorted(("cat", "dog", UNICODE, "single")))
    total = sum(len(s) for s in (first.train, first.validation, first.test))
    # 18 of noise, 15 odd ones, one nested, one of a class with one image
    assert total == 18 + 15 + 1 + 1
    text = "\n".join(first.notes)
    assert all(line.isprintable() for line in first.notes)
    for name in bad:
        assert f"{name} (" in text
    for expected in (
        "GIF files, passed over",
        "cat/film.gif",
        "hidden directories, passed over: 2",
        "hidden files, passed over: 2",
        "directories without images, no classes: 2 (empty, only-text)",
        "images beside the class directories, passed over: 1 (loose.png)",
        "contain themselves through a link, walked once: 2",
        "by their name, passed over: 2 (cat/Thumbs.db, only-text/readme.txt)",
        "below their class directory, taken: 1 (cat/2024/may/nested.png)",
        "training images of a class: 1 (single)",
        "classes without validation images, for want of them: single",
        "classes without test images, for want of them: single",
        "byte for byte another: 5 (",
        "1 of them in more than one class",
    ):
        assert expected in text, expected


def test_odd_images_look_as_they_should(filthy):
    root, _ = filthy
    from nas.data.decoding import read_images

    def pixels(name):
        return read_images([root / "dog" / name], SIZE)[0].astype(int)

    plain = pixels("UPPER.JPEG")
    across = plain.mean((0, 1))
    assert (np.diff(across) > 0).all() and across[0] < 100 < 150 < across[-1]
    for name in ("16bit.png", "16bit.tif", "alpha.png", "grey-alpha.png", "cmyk.jpg"):
        np.testing.assert_allclose(pixels(name), plain, atol=12, err_msg=name)
    np.testing.assert_allclose(pixels("palette.png"), plain, atol=25)
    np.testing.assert_allclose(pixels("wrong-suffix.png"), plain)
    photo = root / "dog" / "photo.jpg"
    np.testing.assert_array_equal(pixels("photo.jpg"), old_decode(photo, SIZE))
    assert (pixels("pixel.png") == np.array([10, 20, 30])[:, None, None]).all()
    assert (pixels("strip.png") == 9).all()
    with Image.open(root / "dog" / "turned.jpg") as opened:
        upright = ImageOps.exif_transpose(opened).convert("RGB")
    assert upright.size == (20, 40)
    down = pixels("turned.jpg").mean((0, 2))
    assert (np.diff(down) > 0).all()  # bright below: the picture was turned


def test_the_shape_is_told_without_decoding(filthy):
    root, _ = filthy
    assert image_shape(config_of(root)) == (4, 3, SIZE)


def test_a_class_without_a_readable_image_is_named(tmp_path):
    noise_folder(tmp_path, {"cat": 4, "dog": 4})
    (tmp_path / "cow").mkdir()
    for index in range(3):
        (tmp_path / "cow" / f"{index}.png").write_bytes(b"")
    with pytest.raises(InputError, match="every class needs a training image.* cow"):
        load_dataset(config_of(tmp_path, on_error="skip"))


def test_a_long_list_of_unreadable_files_is_in_a_file(tmp_path):
    noise_folder(tmp_path, {"cat": 4, "dog": 4})
    for index in range(60):
        (tmp_path / "cat" / f"bad{index:02}.png").write_bytes(b"")
    with pytest.raises(InputError, match="all of them: ") as caught:
        load_dataset(config_of(tmp_path))
    listed = str(caught.value).split("all of them: ")[1].split(")")[0]
    with open(listed, encoding="utf-8") as file:
        assert len(file.readlines()) == 60


@pytest.mark.parametrize("denied", ["cat", "cat/000.png"])
def test_what_permissions_deny_is_named(denied, tmp_path, monkeypatch):
    noise_folder(tmp_path / "photos", {"cat": 4, "dog": 4})
    load_dataset(config_of(tmp_path / "photos"))  # root alone may import some modules
    with ordinary_user() as home:
        monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
        photos = noise_folder(home / "photos", {"cat": 4, "dog": 4})
        (photos / denied).chmod(0)
        try:
            with pytest.raises(InputError) as caught:
                load_dataset(config_of(photos))
            (photos / denied).chmod(0o700)
            load_dataset(config_of(photos))
        finally:
            (photos / denied).chmod(0o700)
    message = str(caught.value)
    assert "must be readable" in message or "cannot be read" in message
    assert denied in message and "Permission denied" in message
    assert "\n" not in message
