import ast
import importlib.util
import subprocess
import sys

import pytest
import torch

from nas.data.preprocessing import Preprocessing
from nas.exporting.formats import Exported
from nas.exporting.timm_module import MODULE, module_source, timm_config
from search_spaces import Architecture, Attention, Backbone, Placement

pytest.importorskip("timm")

CASES = {
    "basic": Architecture(
        backbone=Backbone("basic", "cifar", (1, 2), (4, 8)),
        placement=Placement.parse("M-CM"),
        attention=Attention(heads=(1, 2), head_dim=3, window=2),
        num_classes=3,
        in_channels=1,
        image_size=8,
    ),
    "bottleneck with a strided MSA": Architecture(
        backbone=Backbone("bottleneck", "imagenet", (1, 1), (4, 8)),
        placement=Placement.parse("C-M"),
        attention=Attention(heads=2, head_dim=4, window="auto"),
        num_classes=5,
        image_size=32,
    ),
}


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    """The exported file, imported from where it was written."""
    path = tmp_path_factory.mktemp("export") / f"{MODULE}.py"
    path.write_text(module_source())
    spec = importlib.util.spec_from_file_location(MODULE, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[MODULE]


def preprocessing_of(architecture):
    channels = architecture.in_channels
    names = tuple("abcde"[: architecture.num_classes])
    return Preprocessing(
        (0.5,) * channels, (0.2,) * channels, architecture.image_size, names
    )


@pytest.fixture(params=CASES, ids=str)
def case(request):
    return CASES[request.param]


def config_of(case):
    return timm_config(Exported(case, case.build().eval(), preprocessing_of(case)))


def test_builds_the_same_network(module, case):
    model = case.build().eval()
    config = config_of(case)
    rebuilt = module.TimmAlterNet(
        num_classes=config["num_classes"],
        in_chans=case.in_channels,
        **config["model_args"],
    )
    rebuilt.load_state_dict(model.state_dict())
    images = torch.randn(
        2, case.in_channels, case.image_size, case.image_size,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    assert torch.equal(rebuilt.eval()(images), model(images))


def test_the_file_imports_nothing_of_ours():
    imported = set()
    for node in ast.walk(ast.parse(module_source())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            imported.add(node.module.split(".")[0])
    assert imported == {"collections", "typing", "torch", "timm"}


def test_the_file_has_no_undefined_name(tmp_path):
    (tmp_path / "m.py").write_text(module_source())
    subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F,E9",
         str(tmp_path / "m.py")],
        check=True,
    )  # fmt: skip


def test_behaves_like_a_timm_classifier(module, case):
    config = config_of(case)
    model = module.TimmAlterNet(
        num_classes=7, in_chans=case.in_channels, **config["model_args"]
    ).eval()
    images = torch.zeros(2, case.in_channels, case.image_size, case.image_size)
    assert model(images).shape == (2, 7)
    features = model.forward_features(images)
    assert features.shape[1] == model.num_features
    assert model.forward_head(features, pre_logits=True).shape == (
        2,
        model.num_features,
    )
    model.reset_classifier(2)
    assert model(images).shape == (2, 2)
    model.reset_classifier(0)
    assert model(images).shape == (2, model.num_features)
    with pytest.raises(ValueError, match="'avg' alone"):
        module.TimmAlterNet(global_pool="max", **config["model_args"])


def stage_maps(model, images):
    """The maps after the stages of one of our own networks, walked by hand."""
    x, maps = model.stem(images), []
    for stage in model.stages:
        for block in stage:
            x = block(x)
        maps.append(x)
    return maps


def test_gives_the_maps_of_its_stages(module, case):
    torch.manual_seed(0)
    model = case.build().eval()
    copy = module.TimmAlterNet(
        num_classes=case.num_classes,
        in_chans=case.in_channels,
        **config_of(case)["model_args"],
    ).eval()
    copy.load_state_dict(model.state_dict())
    images = torch.randn(2, case.in_channels, case.image_size, case.image_size)
    with torch.no_grad():
        truth = stage_maps(model, images)
        last, maps = copy.forward_intermediates(images)
        assert torch.equal(last, truth[-1])
        assert all(map(torch.equal, maps, truth))
        for info, one in zip(copy.feature_info, truth, strict=True):
            assert info["num_chs"] == one.shape[1]
            assert info["reduction"] == case.image_size // one.shape[2]
        (only,) = copy.forward_intermediates(
            images, indices=[-2], stop_early=True, intermediates_only=True
        )
        assert torch.equal(only, truth[-2])
        (normed,) = copy.forward_intermediates(images, 1, True, intermediates_only=True)
        assert torch.equal(normed.mean((2, 3)), copy.forward_head(last, True))
    for wrong in ([5], [], [-3]):
        with pytest.raises(ValueError, match="stages are 0 to 1"):
            copy.forward_intermediates(images, wrong)


def test_timm_makes_a_backbone_of_it(module, case):
    import timm

    config = config_of(case)
    args = {**config["model_args"], "in_chans": case.in_channels}
    images = torch.zeros(2, case.in_channels, case.image_size, case.image_size)
    torch.manual_seed(0)
    whole = timm.create_model("alternet", **args).eval()
    torch.manual_seed(0)
    backbone = timm.create_model("alternet", features_only=True, **args).eval()
    with torch.no_grad():
        truth = stage_maps(whole, images)
        assert all(map(torch.equal, backbone(images), truth))
    assert backbone.feature_info.channels() == [one.shape[1] for one in truth]
    first = timm.create_model(
        "alternet", features_only=True, out_indices=(0,), **args
    ).eval()
    assert [tuple(m.shape) for m in first(images)] == [tuple(truth[0].shape)]
    assert len(first.model.stages) == 1  # the others are not kept


def test_config_has_what_timm_reads(case):
    config = config_of(case)
    assert config["architecture"] == "alternet"
    assert config["num_classes"] == case.num_classes
    cfg = config["pretrained_cfg"]
    assert cfg["input_size"] == [case.in_channels, case.image_size, case.image_size]
    assert cfg["mean"] == [0.5] * case.in_channels
    state = case.build().state_dict()
    assert f"{cfg['first_conv']}.weight" in state
    assert f"{cfg['classifier']}.weight" in state
