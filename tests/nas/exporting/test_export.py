import dataclasses
import json
import shutil
import stat
import sys

import pytest
import torch
import yaml

from evaluators.classification.accuracy import Accuracy
from nas.data.datasets import load_dataset
from nas.data.preprocessing import Preprocessing
from nas.exporting import formats
from nas.exporting.exporter import choose_trials, export, load_export
from nas.exporting.formats import Exported, ExportError, Format, load_weights
from nas.ledger.trial import Objective, TrialState
from nas.pareto.table import ParetoTable
from search_spaces import Architecture, InputError

BASIC = {
    "architecture.yaml", "preprocessing.json", "recipe.yaml", "model.safetensors",
    "README.md",
}  # fmt: skip


def names(directory):
    return {path.name for path in directory.iterdir()}


@pytest.fixture(scope="module")
def exported(trained_study, tmp_path_factory):
    """One model in every format."""
    directory = tmp_path_factory.mktemp("exports") / "model"
    export(trained_study, "1", directory, list(Format), quantize=True, tell=TOLD.append)
    return directory


TOLD = []


def test_what_takes_time_is_told(exported):
    text = "\n".join(TOLD)
    for part in (
        "reading the images",
        "model.pt2",
        "model.onnx",
        "quantising",
        "timm's",
    ):
        assert part in text


def test_the_graph_says_what_it_is(exported):
    onnxruntime = pytest.importorskip("onnxruntime")
    for name in ("model.onnx", "model.int8.onnx"):
        session = onnxruntime.InferenceSession(exported / name)
        assert session.get_inputs()[0].shape == ["batch", 1, 8, 8]
        assert session.get_outputs()[0].shape == ["batch", 10]
        found = session.get_modelmeta().custom_metadata_map
        record = json.loads((exported / "preprocessing.json").read_text())
        for key in ("class_names", "mean", "std", "image_size"):
            assert json.loads(found[key]) == record[key]
        assert found["placement"] == "C-CM"


def test_the_integer_graph_is_measured(exported, trained_study):
    """Its accuracy, counted by hand, is what the card and the terminal say."""
    onnxruntime = pytest.importorskip("onnxruntime")
    import onnx

    dataset = load_dataset(trained_study.config.data)
    session = onnxruntime.InferenceSession(exported / "model.int8.onnx")
    _, preprocessing = load_export(exported)
    inputs = preprocessing(torch.from_numpy(dataset.validation.images)).numpy()
    (logits,) = session.run(None, {"images": inputs})
    right = float((logits.argmax(1) == dataset.validation.labels).mean())
    sentence = f"model.int8.onnx: validation accuracy {right:.4f}"
    assert sentence in (exported / "README.md").read_text()
    assert any(sentence in line for line in TOLD)
    weights = onnx.load(exported / "model.int8.onnx").graph.initializer
    eight_bits = [w for w in weights if w.data_type == onnx.TensorProto.INT8]
    stored = sum(len(w.raw_data) for w in eight_bits)
    assert stored > 0.8 * trained_study.architecture(1).params * 0.9


def test_every_format_is_written(exported):
    assert names(exported) == BASIC | {
        "model.onnx", "model.int8.onnx", "model.pt2", "config.json",
        "modeling_alternet.py",
    }  # fmt: skip
    for path in exported.iterdir():
        assert path.stat().st_mode & stat.S_IRGRP, f"{path.name} is for others, too"


def test_the_export_reproduces_the_recorded_accuracy_exactly(exported, trained_study):
    model, preprocessing = load_export(exported)
    dataset = load_dataset(trained_study.config.data)
    recorded = trained_study.trial(1).metrics["accuracy"]
    assert Accuracy()(model, dataset.evaluation_data())["accuracy"] == recorded
    with torch.no_grad():
        logits = model(preprocessing(torch.from_numpy(dataset.validation.images)))
    labels = torch.from_numpy(dataset.validation.labels)
    assert (logits.argmax(1) == labels).double().mean().item() == recorded
    assert preprocessing.class_names == dataset.class_names


def test_the_architecture_is_that_of_the_trial(exported, trained_study):
    architecture = Architecture.from_yaml(exported / "architecture.yaml")
    assert architecture == trained_study.architecture(1)


def test_the_other_formats_predict_the_same(exported):
    onnxruntime = pytest.importorskip("onnxruntime")
    model, _ = load_export(exported)
    program = torch.export.load(exported / "model.pt2").module()
    session = onnxruntime.InferenceSession(exported / "model.onnx")
    images = torch.randn(9, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        expected = model(images)
        assert torch.allclose(program(images), expected, atol=1e-5)
    (logits,) = session.run(None, {"images": images.numpy()})
    assert torch.allclose(torch.from_numpy(logits), expected, atol=1e-5)


def test_timm_loads_the_directory(exported, monkeypatch):
    timm = pytest.importorskip("timm")
    monkeypatch.syspath_prepend(str(exported))
    sys.modules.pop("modeling_alternet", None)
    import modeling_alternet  # noqa: F401

    model, preprocessing = load_export(exported)
    loaded = timm.create_model(f"local-dir:{exported}", pretrained=True).eval()
    images = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        assert torch.equal(loaded(images), model(images))
    config = timm.data.resolve_model_data_config(loaded)
    assert tuple(config["mean"]) == preprocessing.mean
    sys.modules.pop("modeling_alternet")


def test_the_card_tells_metrics_data_recipe_and_study(exported, trained_study):
    card = (exported / "README.md").read_text()
    _, head, body = card.split("---\n", 2)
    assert yaml.safe_load(head)["library_name"] == "timm"
    accuracy = trained_study.trial(1).metrics["accuracy"]
    for text in (
        "AlterNet C-CM", f"recorded {accuracy!r}", "| params | 1,775 |",
        "study: digits", "trial: 1 (by number)", "256 train", "learning_rate: 0.002",
        "onnxruntime.InferenceSession", "local-dir:", "▓ M ▓",
    ):  # fmt: skip
        assert text in body


def test_best_is_the_best_first_objective(trained_study):
    trials = trained_study.trials()
    best = max(trials, key=lambda trial: trial.metrics["accuracy"])
    choice = choose_trials(trained_study, "best")
    assert choice.trials == (best,)
    assert choice.reason == "best accuracy"
    fewer = dataclasses.replace(
        trained_study, objectives=(Objective("params", "minimize"),)
    )
    assert choose_trials(fewer, "best").trials[0].number == 2


def test_best_of_equals_is_the_one_on_the_front(make_study, make_trial):
    study = make_study(
        [make_trial(0, accuracy=0.9, params=9), make_trial(1, accuracy=0.9, params=5)]
    )
    assert choose_trials(study, "best").trials[0].number == 1


def test_the_whole_front(trained_study, tmp_path):
    written = export(trained_study, "pareto", tmp_path / "front")
    rows = [row for row in ParetoTable.of(trained_study).rows() if row["is_pareto"]]
    expected = [f"trial-{row['number']}" for row in rows]
    assert [path.name for path in written] == expected
    assert names(tmp_path / "front") == {*expected, "front.csv"}
    for path in written:
        assert names(path) == BASIC
        load_export(path)


def test_an_earlier_export_is_replaced_only_by_force(trained_study, tmp_path):
    directory = tmp_path / "model"
    export(trained_study, "pareto", directory)
    (directory / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="already holds an export; replace it"):
        export(trained_study, "0", directory)
    export(trained_study, "0", directory, force=True)
    assert names(directory) == BASIC | {"notes.txt"}


@pytest.mark.parametrize("force", [False, True])
def test_other_peoples_files_are_left_alone(trained_study, tmp_path, force):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match="holds other files and is left alone"):
        export(trained_study, "0", tmp_path, force=force)
    assert names(tmp_path) == {"thesis.tex"}


def test_an_empty_directory_and_a_relative_path_will_do(
    trained_study, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (path,) = export(trained_study, "0", ".")
    assert path == tmp_path
    assert names(tmp_path) == BASIC


def test_a_file_in_the_way_is_told(trained_study, tmp_path):
    (tmp_path / "model").write_text("")
    with pytest.raises(InputError, match="is a file"):
        export(trained_study, "0", tmp_path / "model")


@pytest.mark.parametrize(
    ("which", "message"),
    [
        ("99", "has no trial 99"),
        ("worst", "a trial is a number, 'best' or 'latest'; got 'worst'"),
        ("../1", "got '../1'"),
        ("-1", "got '-1'"),
    ],
)
def test_unknown_trials_are_told(trained_study, tmp_path, which, message):
    with pytest.raises(InputError, match=message):
        export(trained_study, which, tmp_path / "model")
    assert not names(tmp_path)


def test_only_trained_trials_can_be_exported(make_study, make_trial):
    study = make_study([make_trial(0, state=TrialState.PRUNED, accuracy=1, params=1)])
    with pytest.raises(InputError, match="must be complete to be exported, trial 0 is"):
        choose_trials(study, "0")
    with pytest.raises(InputError, match="no trial of 'known' is trained yet"):
        choose_trials(study, "best")


def test_a_wrong_output_fails_the_export_and_leaves_nothing(
    trained_study, tmp_path, monkeypatch
):
    def scaled(architecture, path, plugins):
        model = load_weights(architecture, path, plugins)
        with torch.no_grad():
            model.head.linear.weight.mul_(1.01)
        return model

    monkeypatch.setattr(formats, "load_weights", scaled)
    with pytest.raises(ExportError, match=r"model.safetensors: logits differ"):
        export(trained_study, "1", tmp_path / "model")
    assert not names(tmp_path)


@pytest.mark.parametrize("chosen", [Format.PT2, Format.ONNX, Format.TIMM])
def test_every_format_is_compared_with_the_network(
    trained_study, tmp_path, monkeypatch, chosen
):
    # The files are written from one network and compared with another.
    dataset = load_dataset(trained_study.config.data)
    architecture = trained_study.architecture(1)
    weights = trained_study.trial_directory(1) / "weights.safetensors"
    shutil.copy(weights, tmp_path / "model.safetensors")
    model = load_weights(architecture, weights)
    exported = Exported(architecture, model, Preprocessing.of(dataset))
    seen = []
    compare = formats._compare

    def compare_with_another(name, exported, other, **options):
        seen.append(name)
        with torch.no_grad():
            other_model = load_weights(architecture, weights)
            other_model.head.linear.bias.add_(1e-2)
        return compare(
            name, dataclasses.replace(exported, model=other_model), other, **options
        )

    monkeypatch.setattr(formats, "_compare", compare_with_another)
    with pytest.raises(ExportError, match="logits differ from the network's by 0.01"):
        formats.WRITERS[chosen](tmp_path, exported)
    assert len(seen) == 1


def test_another_accuracy_than_recorded_fails_the_export(trained_study, tmp_path):
    trial = trained_study.trial(1)
    better = dataclasses.replace(trial, metrics={**trial.metrics, "accuracy": 0.99})
    study = dataclasses.replace(trained_study, known=[better])
    with pytest.raises(
        ExportError, match="validation accuracy 0.1010, recorded is 0.99"
    ):
        export(study, "1", tmp_path / "model")
    assert not names(tmp_path)


def test_other_images_than_those_of_the_search_are_told(trained_study, tmp_path):
    header = {"data_fingerprint": "0123456789ab"}
    study = dataclasses.replace(trained_study, header=header)
    with pytest.raises(InputError, match="those of the search .fingerprint 0123456789"):
        export(study, "1", tmp_path / "model")
    assert not names(tmp_path)


def test_missing_packages_are_told_before_anything_is_written(
    trained_study, tmp_path, monkeypatch
):
    monkeypatch.setattr(formats.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install onnx onnxscript"):
        export(trained_study, "1", tmp_path / "model", [Format.ONNX])
    assert not names(tmp_path)


def test_missing_weights_are_told(trained_study, tmp_path):
    study = dataclasses.replace(trained_study, path=tmp_path / "study")
    directory = study.trial_directory(1)
    directory.mkdir(parents=True)
    shutil.copy(trained_study.trial_directory(1) / "architecture.yaml", directory)
    with pytest.raises(InputError, match=r"weights.safetensors must hold the weights"):
        export(study, "1", tmp_path / "model")


def test_load_export_tells_what_is_missing(exported, tmp_path):
    with pytest.raises(InputError, match="has no architecture.yaml and no model"):
        load_export(tmp_path)
    shutil.copytree(exported, tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"junk")
    with pytest.raises(InputError, match="must hold the weights of C-CM"):
        load_export(tmp_path / "model")


def test_an_export_says_when_the_best_may_be_luck(trained_study, tmp_path, monkeypatch):
    """Judged by a model of many trials; this study has few, so one is planted."""
    from nas.exporting import exporter
    from nas.prediction.winner import JudgedPlacement

    trial = exporter.choose_trials(trained_study, "best").trials[0]
    one = JudgedPlacement(
        "accuracy", trial.placement, 0.9, 0.8, 0.7, 0.9, 0.3, 0.6, is_winner=True
    )
    judged = lambda study, asked: {trial.placement: one}  # noqa: E731
    monkeypatch.setattr(exporter, "judge_placements", judged)
    told = []
    (path,) = export(trained_study, "best", tmp_path / "model", tell=told.append)
    assert "cannot be told from the all-Conv parent" in told[0]
    assert one.sentence() in " ".join((path / "README.md").read_text().split())
