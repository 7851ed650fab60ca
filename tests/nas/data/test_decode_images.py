import json
import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from nas.config import DataConfig
from nas.data import (
    cache_directory,
    decode_images,
    decoded_images,
    decoder_pool,
    pixel_cache,
)
from nas.data.datasets import data_fingerprint, load_dataset
from search_spaces import InputError
from tests.nas.data.child_process import ChildProcess
from tests.nas.data.image_folders import at_rest, naive_splits, noise_folder


def config_of(root, **changes) -> DataConfig:
    return DataConfig(name="imagefolder", root=str(root), image_size=6, **changes)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    at_rest(tmp_path, monkeypatch)
    return noise_folder(tmp_path / "photos", {"cat": 9, "dog": 7})


@pytest.fixture
def decoded(monkeypatch):
    """How many files have been decoded since the last call."""
    counts = [0]
    plain = decoder_pool.decode_image

    def counting(*arguments):
        counts[0] += 1
        return plain(*arguments)

    monkeypatch.setattr(decoder_pool, "decode_image", counting)

    def since() -> int:
        found, counts[0] = counts[0], 0
        return found

    return since


def assert_equal(dataset, expected):
    for name, (images, labels) in expected.items():
        split = getattr(dataset, name)
        np.testing.assert_array_equal(split.images, images)
        np.testing.assert_array_equal(split.labels, labels)


@pytest.mark.parametrize("layout", ["flat", "splits"])
@pytest.mark.parametrize(
    "limits", [{}, {"max_train": 7, "max_validation": 3, "max_test": 4}]
)
@pytest.mark.parametrize("size", [(9, 7), (6, 6), (3, 11)])
def test_pixels_and_splits_are_those_of_a_naive_twin(
    tmp_path, monkeypatch, layout, limits, size
):
    at_rest(tmp_path, monkeypatch)
    counts = {"b": 8, "a/deeper": 3, "a": 4, "a-b": 5}
    if layout == "splits":
        counts = {f"{s}/{n}": c for n, c in counts.items() for s in ("train", "test")}
    noise_folder(tmp_path, counts, size)
    config = config_of(tmp_path, split_seed=3, **limits)
    expected = naive_splits(config)
    first, second = load_dataset(config), load_dataset(config)
    memory = load_dataset(config.model_copy(update={"cache": False}))
    for dataset in (first, second, memory):
        assert_equal(dataset, expected)
        assert dataset.fingerprint == first.fingerprint == data_fingerprint(config)
        assert (dataset.mean, dataset.std) == (memory.mean, memory.std)
    assert second.train.file is not None and memory.train.file is None
    images = np.asarray(expected["train"][0], np.float64) / 255
    np.testing.assert_allclose(second.mean, images.mean((0, 2, 3)))


def test_nothing_is_decoded_twice(folder, decoded):
    load_dataset(config_of(folder))
    assert decoded() == 16
    load_dataset(config_of(folder))
    assert decoded() == 0
    load_dataset(config_of(folder, cache=False))
    assert decoded() == 16


def test_other_sizes_and_limits_have_pixels_of_their_own(folder, decoded):
    first = load_dataset(config_of(folder))
    decoded()
    stored = load_dataset(config_of(folder, store_size=8))
    assert decoded() == len(stored.train)  # the others are there already
    assert stored.train.images.shape[-1] == 8
    assert stored.image_size == stored.test.images.shape[-1] == 6
    few = load_dataset(config_of(folder, max_train=4))
    assert len(few.train) == 4 and decoded() == 4
    assert_equal(few, naive_splits(config_of(folder, max_train=4)))
    assert first.fingerprint == load_dataset(config_of(folder)).fingerprint


@pytest.mark.parametrize("version", ["PIL", "libjpeg_turbo"])
def test_other_decoders_have_pixels_of_their_own(folder, decoded, monkeypatch, version):
    from PIL import features

    from nas.data import decoding

    load_dataset(config_of(folder))
    decoded()
    if version == "PIL":
        monkeypatch.setattr(decoding.PIL, "__version__", "0.0")
    else:
        monkeypatch.setattr(features, "version", lambda name: "0.0")
    load_dataset(config_of(folder))
    assert decoded() == 16


def test_a_moved_copied_or_touched_folder_is_not_decoded_again(
    folder, decoded, tmp_path
):
    before = load_dataset(config_of(folder)).fingerprint
    decoded()
    moved = folder.rename(tmp_path / "elsewhere")
    assert load_dataset(config_of(moved)).fingerprint == before
    copied = tmp_path / "copied"
    shutil.copytree(moved, copied, copy_function=shutil.copyfile)
    assert load_dataset(config_of(copied)).fingerprint == before
    for file in copied.rglob("*.png"):
        os.utime(file)
    assert load_dataset(config_of(copied)).fingerprint == before
    assert decoded() == 0


def test_a_file_replaced_with_same_size_and_time_is_seen(folder, decoded):
    first = folder / "cat" / "000.png"
    other = folder / "cat" / "001.png"
    image = first.read_bytes()
    state = first.stat()
    before = load_dataset(config_of(folder)).fingerprint
    decoded()
    twin = other.read_bytes()[: len(image)].ljust(len(image), b"\0")
    first.write_bytes(twin)
    os.utime(first, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert first.stat().st_size == state.st_size
    assert first.stat().st_mtime_ns == state.st_mtime_ns
    after = load_dataset(config_of(folder, on_error="skip")).fingerprint
    assert before != after and decoded() > 0


def test_a_file_written_while_it_is_listed_is_not_trusted(tmp_path, decoded):
    """Without the fixture that calls fresh files old: a second write within the
    clock's step could not be seen, so the content is looked at again."""
    folder = noise_folder(tmp_path, {"cat": 4, "dog": 4})
    first = load_dataset(config_of(folder))
    (record,) = [
        json.loads(path.read_bytes().partition(b"\n")[2])
        for path in first.train.file.parent.glob("list-*.json")
    ]
    assert record["trusted"] is False
    decoded()
    assert load_dataset(config_of(folder)).fingerprint == first.fingerprint
    assert decoded() == 0  # found by content


def damaged_files(user_cache, pattern):
    return sorted(user_cache.glob(pattern))


@pytest.mark.parametrize("pattern", ["list-*.json", "pixels-*.json", "pixels-*.npy"])
def test_a_cache_cut_anywhere_or_flipped_is_made_again(
    folder, user_cache, decoded, pattern
):
    config = config_of(folder)
    expected = naive_splits(config)
    fingerprint = load_dataset(config).fingerprint
    rng = np.random.default_rng(0)
    path = damaged_files(user_cache, pattern)[0]
    whole = path.read_bytes()
    cuts = {0, 1, 60, 127, 128, len(whole) - 1} | set(
        rng.integers(0, len(whole), 12).tolist()
    )
    damages = [whole[:cut] for cut in cuts if cut < len(whole)]
    damages.append(whole + b"\0")
    for position in rng.integers(0, len(whole), 40).tolist():
        flipped = bytearray(whole)
        flipped[position] ^= 1 << int(rng.integers(8))
        damages.append(bytes(flipped))
    for damage in damages:
        path.write_bytes(damage)
        dataset = load_dataset(config)
        assert dataset.fingerprint == fingerprint
        assert_equal(dataset, expected)
        path.write_bytes(whole)


def test_a_damaged_cache_above_the_checked_size_is_seen_by_its_file(
    folder, user_cache, monkeypatch
):
    config = config_of(folder)
    fingerprint = load_dataset(config).fingerprint
    monkeypatch.setattr(pixel_cache, "_VERIFIED_BYTES", 0)
    calls = []
    plain = decoded_images.pixel_digest

    def counting(splits):
        calls.append(1)
        return plain(splits)

    monkeypatch.setattr(decoded_images, "pixel_digest", counting)
    load_dataset(config)
    assert not calls  # not read at all
    path = damaged_files(user_cache, "pixels-*.npy")[0]
    whole = bytearray(path.read_bytes())
    whole[-1] ^= 1
    path.write_bytes(whole)
    dataset = load_dataset(config)
    assert calls and dataset.fingerprint == fingerprint
    assert_equal(dataset, naive_splits(config))


def test_a_cache_of_a_stranger_is_not_read(folder, user_cache, decoded, monkeypatch):
    config = config_of(folder)
    load_dataset(config)
    decoded()
    for path in user_cache.iterdir():
        path.chmod(0o666)  # anybody could have written it
    load_dataset(config)
    assert decoded() == 16
    assert all(path.stat().st_mode & 0o022 == 0 for path in user_cache.iterdir())
    user_cache.chmod(0o777)
    notes = " ".join(load_dataset(config).notes)
    assert "writable by you alone" in notes and decoded() == 16
    user_cache.chmod(0o700)
    monkeypatch.setattr(cache_directory.os, "geteuid", lambda: 12345)
    notes = " ".join(load_dataset(config).notes)
    assert "must belong to you" in notes and decoded() == 16


def test_links_and_pipes_in_the_cache_are_not_followed(
    folder, user_cache, decoded, tmp_path
):
    config = config_of(folder)
    load_dataset(config)
    decoded()
    precious = tmp_path / "precious"
    precious.write_text("precious")
    for path in list(user_cache.iterdir()):
        path.unlink()
        if path.suffix == ".npy":
            os.mkfifo(path)
        else:
            path.symlink_to(precious)
    load_dataset(config)
    assert decoded() == 16 and precious.read_text() == "precious"


def unusable_caches(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    yield str(file), "Not a directory"
    yield "/proc/nowhere", "No such file or directory"


def test_an_unusable_cache_directory_is_told_in_one_line(
    folder, tmp_path, monkeypatch, decoded
):
    expected = naive_splits(config_of(folder))
    for place, reason in unusable_caches(tmp_path):
        monkeypatch.setenv("XDG_CACHE_HOME", place)
        dataset = load_dataset(config_of(folder))
        (note,) = [line for line in dataset.notes if "cache" in line]
        assert note.startswith("decoded images are kept in memory") and reason in note
        assert "\n" not in note
        assert_equal(dataset, expected)


def test_a_full_disk_is_told_in_one_line(folder, monkeypatch, user_cache):
    expected = naive_splits(config_of(folder))
    free = os.statvfs_result((4096, 4096, 0, 0, 0, 0, 0, 0, 0, 255))
    monkeypatch.setattr(pixel_cache.os, "fstatvfs", lambda _: free)
    dataset = load_dataset(config_of(folder))
    (note,) = [line for line in dataset.notes if "cache" in line]
    assert "the disk is too full" in note
    assert_equal(dataset, expected)
    assert list(user_cache.iterdir()) == []  # no drafts, no locks


def run_python(code, *arguments, **options):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        **{"timeout": 120} | options,
    )


def test_a_disk_that_fills_up_meanwhile_is_told_in_one_line(
    folder, user_cache, tmp_path
):
    config = config_of(folder).model_copy(update={"image_size": 32})

    def full_later():
        # every file stops growing at 3 kB, like a disk that fills up meanwhile
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
        dataset = load_dataset(config)
        print(dataset.fingerprint, *dataset.notes, sep="\n")

    child = ChildProcess(full_later, tmp_path / "output")
    assert child.wait() == 0, child.output
    fingerprint, *notes = child.output.splitlines()
    assert any("File too large" in note for note in notes)
    assert list(user_cache.iterdir()) == []
    assert load_dataset(config).fingerprint == fingerprint


def test_pixels_that_fit_nowhere_are_refused(folder, monkeypatch):
    monkeypatch.setattr(decode_images.os, "sysconf", lambda _: 10)
    with pytest.raises(InputError, match=r"must fit on the disk or into memory"):
        load_dataset(config_of(folder, cache=False))


def test_two_processes_decode_once_between_them(
    folder, user_cache, decoded, monkeypatch, tmp_path
):
    counting = decoder_pool.decode_image

    def slow(*arguments):
        time.sleep(0.05)
        return counting(*arguments)

    def load():
        print(load_dataset(config_of(folder), quiet=False).fingerprint, decoded())

    with monkeypatch.context() as patch:
        patch.setattr(decoder_pool, "decode_image", slow)
        children = [ChildProcess(load, tmp_path / name) for name in "ab"]
        assert [child.wait() for child in children] == [0, 0]
    outputs = [child.output for child in children]
    (first, one), (second, other) = (text.split()[-2:] for text in outputs)
    assert first == second == load_dataset(config_of(folder)).fingerprint
    assert int(one) + int(other) == 16
    assert "another process decodes these images" in "".join(outputs)
    assert not list(user_cache.glob("*.lock")) + list(user_cache.glob("*.draft"))


@pytest.mark.parametrize("count", [1, 8, 14])
def test_killed_while_writing_leaves_nothing_that_is_read(
    folder, user_cache, monkeypatch, tmp_path, count
):
    config = config_of(folder)
    plain, counts = decoder_pool.decode_image, iter(range(1, 100))

    def deadly(*arguments):
        if next(counts) == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return plain(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(decoder_pool, "decode_image", deadly)
        patch.setattr(decoder_pool, "_PART", 2)
        child = ChildProcess(lambda: load_dataset(config), tmp_path / "output")
        assert child.wait() == -signal.SIGKILL
    assert list(user_cache.glob("*.draft"))
    assert_equal(load_dataset(config), naive_splits(config))
    assert not list(user_cache.glob("*.draft")) + list(user_cache.glob("*.lock"))


def test_in_parallel_as_in_one_process(tmp_path, monkeypatch):
    at_rest(tmp_path, monkeypatch)
    folder = noise_folder(tmp_path, {"cat": 150, "dog": 140})
    (folder / "cat" / "003.png").write_bytes(b"")
    (folder / "dog" / "100.png").write_text("no image")
    config = config_of(folder, on_error="skip")
    one = load_dataset(config.model_copy(update={"cache": False}))
    monkeypatch.setattr(decoder_pool, "_WORTH_S", 0.0)
    monkeypatch.setattr(decoder_pool.joblib, "cpu_count", lambda: 2)
    many = load_dataset(config)
    assert many.fingerprint == one.fingerprint
    assert many.notes == one.notes
    (note,) = [line for line in many.notes if "cannot be read" in line]
    assert "2 of 290" in note and "003.png (the file is empty)" in note


def test_a_split_travels_as_a_path_and_is_mapped(folder):
    dataset = load_dataset(
        DataConfig(name="imagefolder", root=str(folder), image_size=64)
    )
    sent = pickle.dumps(dataset)
    assert len(sent) < dataset.train.images.nbytes / 20
    received = pickle.loads(sent)
    np.testing.assert_array_equal(received.train.images, dataset.train.images)
    assert isinstance(received.train.images, np.memmap)
    assert not received.train.images.flags.writeable
    assert received.fingerprint == dataset.fingerprint
    elsewhere = dataset.in_memory()
    assert len(pickle.dumps(elsewhere)) > dataset.train.images.nbytes
    trial = dataset.without_test()
    assert len(trial.test) == 0 and trial.fingerprint != dataset.fingerprint
    dataset.train.file.unlink()
    with pytest.raises(RuntimeError, match="`nas resume` makes them again"):
        pickle.loads(sent)


IMPORTED = """
import sys
from pathlib import Path
from nas.config import SearchConfig, DataConfig
from nas.data.datasets import load_dataset
from nas.scoring.scratch import train_trial
import torch

def private():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
"""

LIMITED = """
import resource
from nas.config import config_from_dict
from nas.scoring.trial_run import TrialRun
from search_spaces import Architecture, Attention, Backbone, Placement

root, out, limit, where = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
config = config_from_dict({
    "data": {
        "name": "imagefolder", "root": root, "image_size": 32, "store_size": 512,
        "cache": where == "cache", "validation_fraction": 0.01, "test_fraction": 0.01,
    },
    "training": {"batch_size": 32, "random_resized_crop": 0.9},
    "evaluators": ["accuracy"], "objectives": ["accuracy"],
})
dataset = load_dataset(config.data)
assert dataset.train.images.nbytes >= 4 * limit, (dataset.train.images.nbytes, limit)
network = Architecture(
    Backbone("basic", "patch2", (1, 1), (4, 8)), Placement.parse("C-M"),
    Attention(heads=1, head_dim=4), dataset.num_classes, 3, 32,
)
run = TrialRun(
    0, network.to_dict(), 0, 1, out, out / "checkpoint" / "0", settings=config,
    data=dataset,
)
out.mkdir()
outcome = train_trial(run)
print(len(dataset.train), dataset.fingerprint, outcome.metrics["accuracy"])
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_data_of_four_times_the_memory_limit(tmp_path, monkeypatch):
    """Training crops each stored image; RLIMIT_DATA counts private memory alone.

    The limit is what the imports take, and 320 MB more; the training images, in a
    mapped file, are four times as large as all of that.
    """
    at_rest(tmp_path, monkeypatch)
    imported = run_python(IMPORTED + "print(private())")
    limit = int(imported.stdout) + 320_000_000
    half = int(4 * limit / (3 * 512 * 512) / 0.98 / 2) + 20
    folder = noise_folder(tmp_path / "photos", {"cat": half, "dog": half})
    code = IMPORTED + LIMITED
    refused = run_python(code, folder, tmp_path / "0", limit, "memory", timeout=400)
    assert refused.returncode != 0 and "MemoryError" in refused.stderr
    done = run_python(code, folder, tmp_path / "1", limit, "cache", timeout=400)
    assert done.returncode == 0, done.stderr[-2000:]
    seen, _, accuracy = done.stdout.split()
    assert 3 * 512 * 512 * int(seen) >= 4 * limit and 0 <= float(accuracy) <= 1
    assert (tmp_path / "1" / "weights.safetensors").is_file()
