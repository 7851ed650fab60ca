import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nas.data.decoding import decode_image, read_images
from search_spaces import InputError
from tests.nas.data.image_folders import old_decode


def content(image: Image.Image, kind="PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


GOOD = {
    kind: content(Image.effect_noise((23, 17), 80).convert("RGB"), kind)
    for kind in ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM")
}


@pytest.mark.parametrize("kind", GOOD)
@pytest.mark.parametrize("size", [4, 17, 40])
def test_plain_images_are_decoded_as_ever(tmp_path, kind, size):
    path = tmp_path / "image"
    path.write_bytes(GOOD[kind])
    expected = old_decode(path, size)
    np.testing.assert_array_equal(decode_image(GOOD[kind], size), expected)
    np.testing.assert_array_equal(read_images([path], size)[0], expected)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(GOOD)),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=8),
    st.floats(0, 1),
)
def test_damage_is_a_value_error_or_an_image(kind, changes, cut):
    damaged = bytearray(GOOD[kind])
    for position, value in changes:
        damaged[position % len(damaged)] = value
    damaged = damaged[: round(cut * len(damaged))]
    try:
        pixels = decode_image(bytes(damaged), 5)
    except ValueError as error:
        assert str(error)
    else:
        assert pixels.shape == (3, 5, 5) and pixels.dtype == np.uint8


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_upright(orientation):
    # the stored picture is what a camera held that way writes
    upright = np.zeros((8, 8, 3), np.uint8)
    upright[:4] = 200
    upright[:, :4] += 50
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = content(Image.fromarray(np.ascontiguousarray(stored)), exif=exif)
    np.testing.assert_array_equal(decode_image(data, 8).transpose(1, 2, 0), upright)


def test_damaged_exif_beside_good_pixels():
    data = content(Image.new("RGB", (4, 4), (1, 2, 3)), "PNG", exif=b"Exif\0\0garbage")
    assert decode_image(data, 4)[:, 0, 0].tolist() == [1, 2, 3]


def test_sixteen_bits_are_scaled():
    values = np.array([[0, 128, 257], [32896, 65407, 65535]], np.uint16)
    values = np.repeat(np.repeat(values, 3, 0), 2, 1)  # 6x6
    got = decode_image(content(Image.fromarray(values)), 6, channels=1)[0, ::3, ::2]
    assert got.tolist() == [[0, 0, 1], [128, 255, 255]]


@pytest.mark.parametrize("array", [np.float32([[0.5, 300]]), np.int32([[0, 70000]])])
def test_pixels_without_a_range_are_refused(array):
    with pytest.raises(ValueError, match="no range of their own"):
        decode_image(content(Image.fromarray(array), "TIFF"), 4)


def test_a_strip_takes_no_gigabytes():
    strip = Image.new("RGB", (1, 30_000), (9, 9, 9))
    assert (decode_image(content(strip), 256) == 9).all()


def test_a_bomb_is_refused(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ValueError, match="decompression bomb"):
        decode_image(content(Image.new("L", (30, 30))), 4)


def test_reading_names_the_file(tmp_path):
    with pytest.raises(InputError, match="cannot be read: .*gone.png"):
        read_images([tmp_path / "gone.png"], 4)
