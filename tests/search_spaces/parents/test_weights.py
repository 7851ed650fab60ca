"""Weights of files: what fits, what does not, what could run code."""

import pickle
from random import Random

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from search_spaces import InputError
from search_spaces.parents.weights import fit_weights, read_weights


def net(width=4):
    return nn.Sequential(nn.Conv2d(3, width, 1), nn.BatchNorm2d(width))


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_files_of_training_scripts_are_read(tmp_path, wrapper, prefix):
    tensors = {prefix + k: v for k, v in net().state_dict().items()}
    path = tmp_path / "weights.pth"
    torch.save({wrapper: tensors, "epoch": 3} if wrapper else tensors, path)
    model = net()
    fit_weights(model, read_weights(path), path)
    first = next(iter(tensors.values()))
    assert torch.equal(next(iter(model.state_dict().values())), first)


def test_the_first_key_that_does_not_fit_is_named_with_both_shapes(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file(net(6).state_dict(), path)
    model = net()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(InputError) as caught:
        fit_weights(model, read_weights(path), path)
    assert "0.weight is wanted with shape [4, 3, 1, 1], got [6, 3, 1, 1]" in str(
        caught.value
    )
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("0.bias"), r"0.bias is wanted with shape \[4\], and is miss"),
        (lambda t: t.update(extra=torch.zeros(2)), r"extra with shape \[2\] is in the"),
    ],
)
def test_missing_and_left_over_tensors_are_refused(change, message):
    tensors = net().state_dict()
    change(tensors)
    with pytest.raises(InputError, match=message):
        fit_weights(net(), tensors, "here")


def test_old_files_without_batch_counters_are_read():
    tensors = net().state_dict()
    del tensors["1.num_batches_tracked"]
    fit_weights(net(), tensors, "here")


class Evil:
    def __reduce__(self):
        return (print, ("run",))


@pytest.mark.parametrize("content", [Evil(), {"a": Evil()}])
def test_code_in_a_file_is_not_run(tmp_path, capsys, content):
    path = tmp_path / "weights.pt"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(InputError, match="weights_only.* holds other objects than"):
        read_weights(path)
    assert "run" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("no.pt", None, "there is no"),
        ("a.safetensors", b"junk", "weights are a safetensors file"),
        ("b.pt", b"", "weights are a safetensors file"),
    ],
)
def test_broken_files_are_refused(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_weights(path)
    assert "\n" not in str(caught.value)


def test_other_things_than_tensors_are_refused(tmp_path):
    path = tmp_path / "c.pt"
    torch.save({"a": 3}, path)
    with pytest.raises(InputError, match="holds other things, such as 'a'"):
        read_weights(path)


def test_files_that_are_damaged_anywhere_are_refused_in_one_line(tmp_path):
    """Both of torch's formats: cut, and with single bytes changed."""
    random = Random(0)
    path = tmp_path / "weights.pt"
    for is_new in (True, False):
        torch.save(net().state_dict(), path, _use_new_zipfile_serialization=is_new)
        whole = path.read_bytes()
        for cut in (False, True) * 60:
            content = bytearray(whole)
            for _ in range(3):
                content[random.randrange(len(whole))] = random.randrange(256)
            path.write_bytes(whole[: random.randrange(len(whole))] if cut else content)
            try:
                read_weights(path)  # changed values are values
            except InputError as error:
                assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.to_sparse(), "0.weight is torch.sparse_coo; dense tensors"),
        (lambda t: t.to("meta"), "0.weight is without values"),
    ],
)
def test_tensors_that_cannot_be_copied_are_refused_before_any_is(change, message):
    tensors = net().state_dict()
    tensors = {**tensors, "0.weight": change(tensors["0.weight"])}
    model = net()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(InputError, match=message):
        fit_weights(model, tensors, "here")
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
