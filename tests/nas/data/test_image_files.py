import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.datasets import ImageFolder
from torchvision.datasets.folder import IMG_EXTENSIONS

from nas.data.image_files import (
    IMAGE_SUFFIXES,
    NO_STATE,
    printable,
    read_file,
    scan_image_folder,
)
from search_spaces import InputError

names = st.text("ab-. Z0é狐", min_size=1, max_size=4).filter(
    lambda name: name[0] != "." and name.strip()
)
paths = st.lists(
    st.tuples(
        names,
        st.lists(names, max_size=2),
        names,
        st.sampled_from([".jpg", ".PNG", ".tiff", ".txt", ".gif"]),
    ),
    min_size=1,
    max_size=12,
)


def test_the_suffixes_are_those_of_torchvision():
    assert IMAGE_SUFFIXES == IMG_EXTENSIONS


@settings(max_examples=60, deadline=None)
@given(paths)
def test_order_and_labels_are_those_of_torchvision(tmp_path_factory, found):
    root = tmp_path_factory.mktemp("tree")
    for label, directories, name, suffix in found:
        place = root.joinpath(label, *directories)
        try:
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{name}{suffix}").touch()
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            pass  # the same name as file and as directory
    # torchvision refuses classes without images; we pass them over
    for entry in list(root.iterdir()):
        images = [
            p
            for p in entry.rglob("*")
            if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file()
        ]
        if not images:
            entry.rename(root.parent / f"gone-{root.name}-{entry.name}")
    if not any(root.iterdir()):
        with pytest.raises(InputError, match="one directory a class"):
            scan_image_folder(root)
        return
    expected = ImageFolder(str(root))
    got = scan_image_folder(root)
    files = got.splits["train"]
    assert got.class_names == tuple(expected.classes)
    assert [files.path(i) for i in range(len(files))] == [
        p for p, _ in expected.samples
    ]
    assert files.labels.tolist() == expected.targets


def image(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_states_are_those_of_the_files(tmp_path):
    image(tmp_path / "a" / "1.png", b"four")
    image(tmp_path / "b" / "2.png")
    (tmp_path / "b" / "3.png").symlink_to("nowhere")
    files = scan_image_folder(tmp_path).splits["train"]
    found = (tmp_path / "a" / "1.png").stat()
    expected = [4, found.st_mtime_ns, found.st_ctime_ns]
    assert files.states[0].tolist() == expected
    assert tuple(files.states[2].tolist()) == NO_STATE
    assert files.take(np.array([2, 0])).names == ("b/3.png", "a/1.png")


@pytest.mark.parametrize("root", [".", "./photos/..", "photos/../"])
def test_relative_roots(tmp_path, monkeypatch, root):
    (tmp_path / "photos").mkdir()
    image(tmp_path / "train" / "a" / "1.png")
    image(tmp_path / "train" / "b" / "2.png")
    monkeypatch.chdir(tmp_path)
    files = scan_image_folder(Path(root)).splits["train"]
    assert files.names == ("train/a/1.png", "train/b/2.png")
    assert read_file(files.path(0), tuple(files.states[0].tolist())) == b"x"


def test_a_class_called_train_is_no_split(tmp_path):
    image(tmp_path / "car" / "1.png")
    image(tmp_path / "train" / "2.png")
    found = scan_image_folder(tmp_path)
    assert found.class_names == ("car", "train") and list(found.splits) == ["train"]


def test_directories_beside_the_splits_are_told(tmp_path):
    for name in ("train", "val", "valid", "extra"):
        image(tmp_path / name / "a" / "1.png")
    found = scan_image_folder(tmp_path)
    assert list(found.splits) == ["train", "validation"]
    assert found.notes == (
        "directories beside train, val and test, passed over: 2 (extra, valid)",
    )


def test_splits_with_other_classes_are_refused(tmp_path):
    for name in ("train/cat", "train/dog", "test/cat", "test/cow"):
        image(tmp_path / name / "1.png")
    (tmp_path / "test" / "dog").mkdir()  # empty: it does not count
    with pytest.raises(InputError, match=r"no images of dog and has besides cow"):
        scan_image_folder(tmp_path)


def test_a_folder_deeper_than_pythons_stack(tmp_path):
    place = tmp_path / "a"
    place.mkdir()
    here = os.getcwd()
    try:
        os.chdir(place)
        for _ in range(400):
            os.mkdir("d")
            os.chdir("d")
        Path("1.png").touch()
    finally:
        os.chdir(here)
    image(tmp_path / "b" / "2.png")
    assert len(scan_image_folder(tmp_path).splits["train"]) == 2


def test_a_file_that_changed_since_the_scan_is_not_taken(tmp_path):
    path = image(tmp_path / "a" / "1.png")
    image(tmp_path / "b" / "2.png")
    files = scan_image_folder(tmp_path).splits["train"]
    path.write_bytes(b"other")
    with pytest.raises(OSError, match="changed while"):
        read_file(files.path(0), tuple(files.states[0].tolist()))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Füchse 狐", "Füchse 狐"),
        ("a\nb\x1b[0m", "a\\nb\\x1b[0m"),
        ("\udce9", "\\udce9"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
    ],
)
def test_names_are_one_line(name, expected):
    assert printable(name) == expected
