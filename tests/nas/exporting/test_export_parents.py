"""Placements of a foreign parent: scored, exported, and run without this project."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from elsewhere import run_elsewhere
from safetensors.torch import load_file, save_file

import nas
from nas.cli import main
from nas.config import config_from_dict
from nas.data.datasets import load_dataset
from nas.exporting.exporter import formats_of, load_export
from nas.exporting.formats import Exported
from nas.exporting.timm_hybrid import hybrid_config
from nas.scoring.distilled import Distilled
from nas.scoring.trial_network import trial_network
from nas.search_run import search
from nas.study.study import Study
from search_spaces import Architecture, InputError
from search_spaces.parents.load_parent import load_parent

timm = pytest.importorskip("timm")

MODEL = "timm:resnet10t,avg_down=false"
SHAPE = {"num_classes": 10, "in_channels": 1, "image_size": 32}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Drawn weights whose BatchNorm statistics are not 0 and 1."""
    model = load_parent(MODEL, **SHAPE).model
    with torch.no_grad():
        generator = torch.Generator().manual_seed(1)
        for name, tensor in model.state_dict().items():
            if "running" in name:
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
    path = tmp_path_factory.mktemp("parent") / "weights.safetensors"
    save_file(model.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def study(weights, tmp_path_factory):
    settings = {
        "data": {"name": "digits", "image_size": 32, "max_train": 96,
                 "max_validation": 40},
        "parent": {"model": MODEL, "weights": str(weights),
                   "library": {"epochs": 1, "images": 64, "batch_size": 32}},
        "scoring": {"kind": "distilled", "images": 30},
        "space": {"kinds": "CMP", "attention": {"heads": 1}},
    }  # fmt: skip
    out = tmp_path_factory.mktemp("studies") / "study"
    search(config_from_dict(settings), out, quiet=True)
    return Study.open(out)


@pytest.fixture(scope="module")
def dataset(study):
    return load_dataset(study.config.data)


@pytest.fixture(scope="module")
def swapped(study):
    """A placement with attention."""
    return next(t for t in study.trials() if "M" in t.placement)


@pytest.fixture(scope="module")
def exported(study, swapped, tmp_path_factory):
    directory = tmp_path_factory.mktemp("exports") / "model"
    nas.Study(study.path).export(swapped.number, to=directory, formats=["timm"])
    return directory


@pytest.fixture(scope="module")
def truth(study, swapped):
    """Images, and what the parent with the library's blocks says of them."""
    scorer = Distilled(study.config, quiet=True)
    scorer.prepare(study.path)
    architecture = study.architecture(swapped.number)
    network = scorer.parent.network(architecture, scorer.blocks)
    images = torch.randn(3, 1, 32, 32, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        return images, network(images)


def test_the_files_give_the_network_that_was_scored(exported, truth, study, swapped):
    assert Architecture.from_yaml(exported / "architecture.yaml") == (
        study.architecture(swapped.number)
    )
    text = (exported / "architecture.yaml").read_text()
    assert text.startswith(f"format: alternet/2\nparent:\n  model: {MODEL}")
    model, preprocessing = load_export(exported)
    images, logits = truth
    with torch.no_grad():
        assert torch.equal(model(images), logits)
    assert preprocessing.image_size == 32


def test_weights_have_the_names_that_timm_gives_them(exported, weights):
    ours, theirs = load_file(exported / "model.safetensors"), load_file(weights)
    slot = load_export(exported)[0].block_names[0]
    kept = {name for name in theirs if not name.startswith(f"{slot}.")}
    assert kept <= set(ours)
    assert all(torch.equal(ours[name], theirs[name]) for name in kept)


@pytest.mark.slow
def test_onnx_and_pt2_run_where_nothing_of_ours_is(study, swapped, truth, tmp_path):
    images, logits = truth
    exported = tmp_path / "model"
    arguments = ["export", str(study.path), str(swapped.number), "--to", str(exported)]
    with pytest.raises(SystemExit, match="0"):
        main([*arguments, "--formats", "yaml,safetensors,onnx,pt2"])
    np.save(exported / "images.npy", images.numpy())
    printed = run_elsewhere(
        "import json, numpy, onnxruntime\n"
        "images = numpy.load('images.npy')\n"
        "session = onnxruntime.InferenceSession('model.onnx')\n"
        "(onnx,) = session.run(['logits'], {'images': images})\n"
        "import torch\n"
        "program = torch.export.load('model.pt2').module()\n"
        "pt2 = program(torch.from_numpy(images)).detach().numpy()\n"
        "print(json.dumps([onnx.tolist(), pt2.tolist()]))",
        exported,
    )
    for got in json.loads(printed):
        assert torch.allclose(torch.tensor(got), logits, atol=1e-4)


def test_the_card_says_that_nothing_was_trained(exported, swapped):
    _, head, body = (exported / "README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(head)["pipeline_tag"] == "image-classification"
    assert f"# {MODEL} {swapped.placement}" in body
    assert "it was not trained further" in body
    assert "epochs" not in body


def test_the_parent_itself_can_be_exported(study, weights, tmp_path):
    parent = next(t for t in study.trials() if set(t.placement) <= {"C", "-"})
    (path,) = nas.Study(study.path).export(parent.number, to=tmp_path / "parent")
    images = torch.zeros(1, 1, 32, 32)
    with torch.no_grad():
        expected = load_parent(MODEL, weights=weights, **SHAPE).model(images)
        assert torch.equal(load_export(path)[0](images), expected)


@pytest.mark.slow
def test_timm_loads_it_where_nothing_of_ours_is(exported, truth):
    """Logits and feature maps, bit for bit; another number of classes."""
    images, logits = truth
    np.save(exported / "images.npy", images.numpy())
    network = load_export(exported)[0].model
    with torch.no_grad():
        maps = network.forward_intermediates(images, intermediates_only=True)
    printed = run_elsewhere(
        "import numpy, torch, timm\n"
        "sys.path.append('.')\n"
        "import modeling_alternet\n"
        "images = torch.from_numpy(numpy.load('images.npy'))\n"
        "model = timm.create_model('local-dir:.', pretrained=True).eval()\n"
        "maps = timm.create_model('local-dir:.', pretrained=True, features_only=True)\n"
        "two = timm.create_model('local-dir:.', pretrained=True, features_only=True,\n"
        "                        out_indices=(1, 2)).eval()\n"
        "other = timm.create_model('local-dir:.', pretrained=True, num_classes=3)\n"
        "with torch.no_grad():\n"
        "    torch.save([model(images), maps.eval()(images), two(images)], 'out.pt')\n"
        "    print(tuple(other.eval()(images).shape), maps.feature_info.channels(),\n"
        "          maps.feature_info.reduction(), model.pretrained_cfg['mean'])\n",
        exported,
    )
    found, found_maps, two = torch.load(exported / "out.pt", weights_only=True)
    assert torch.equal(found, logits)
    assert len(maps) == len(found_maps) == 5  # those of a ResNet
    assert all(map(torch.equal, found_maps, maps))
    assert all(map(torch.equal, two, maps[1:3]))
    assert printed.startswith("(3, 3) [64, 64, 128, 256, 512] [2, 4, 8, 16, 32] "), (
        printed
    )


def test_parents_of_other_libraries_have_no_timm_layout():
    parent = load_parent(
        "torchvision:resnet18", num_classes=3, in_channels=3, image_size=32
    )
    architecture = parent.architecture()
    exported = Exported(architecture, parent.network(architecture), None)
    with pytest.raises(InputError, match="placements of timm models; the parent is to"):
        hybrid_config(exported)
    space = {"backbone": {"parent": parent.backbone.to_dict()}}
    known = SimpleNamespace(config=config_from_dict({"space": space}))
    assert formats_of(known) == ["yaml", "safetensors", "onnx", "pt2"]


def test_own_weights_of_a_trial_come_before_parent_and_library(study, swapped, dataset):
    """A fine-tuned trial keeps weights of its own, by the names of the network."""
    path = study.trial_directory(swapped.number) / "weights.safetensors"
    network = trial_network(study, swapped, dataset).model
    with torch.no_grad():
        for tensor in network.parameters():
            tensor.mul_(1.5)
    for state in (network.state_dict(), network.model.state_dict()):
        save_file(state, path)
        try:
            found = trial_network(study, swapped, dataset)
        finally:
            path.unlink()
        assert found.made == ""
        for name, tensor in network.state_dict().items():
            assert torch.equal(found.model.state_dict()[name], tensor)


def test_other_weights_of_the_parent_are_told(study, swapped, dataset, tmp_path):
    model = load_parent(MODEL, **SHAPE).model
    save_file(model.state_dict(), tmp_path / "other.safetensors")
    config = study.config
    parent = config.parent.model_copy(
        update={"weights": str(tmp_path / "other.safetensors")}
    )
    other = Study.open(study.path)
    other.__dict__["config"] = config.model_copy(update={"parent": parent})
    with pytest.raises(InputError, match="weights of the parent .* have changed since"):
        trial_network(other, swapped, dataset)


def test_a_missing_or_another_library_is_told(study, swapped, dataset):
    library = study.path / "library"
    moved = library.with_name("elsewhere")
    library.rename(moved)
    try:
        with pytest.raises(InputError, match="library.safetensors"):
            trial_network(study, swapped, dataset)
    finally:
        moved.rename(library)
    other = Study.open(study.path)
    other.__dict__["config"] = study.config.model_copy(update={"seed": 7})
    with pytest.raises(InputError, match="lacks 1.1-M, or has it fitted"):
        trial_network(other, swapped, dataset)
