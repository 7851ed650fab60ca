import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nas.config import (
    DataConfig,
    SearchConfig,
    config_from_dict,
    load_config,
    preset_names,
    read_config,
)
from nas.config.parent import ParentConfig
from search_spaces import InputError


@pytest.mark.parametrize("name", preset_names())
def test_presets_are_valid_and_survive_a_round_trip(name):
    config = load_config(name)
    again = config_from_dict(yaml.safe_load(yaml.safe_dump(config.to_dict())))
    assert again == config


def test_defaults_are_a_complete_config():
    config = config_from_dict({})
    assert config.search.sampler == "tpe"
    assert [one.metric for one in config.make_objectives()] == ["accuracy", "macs"]


def test_the_paper_recipe_fills_only_what_is_not_set():
    training = config_from_dict(
        {"training": {"recipe": "paper", "batch_size": 32}}
    ).training
    assert training.epochs == 305  # 5 of warm-up and 300
    assert training.learning_rate == 1.25e-4
    assert (training.mixup, training.cutmix, training.randaugment) == (1.0, 0.8, 9)
    assert training.batch_size == 32
    assert (training.randaugment_library, training.randaugment_std) == ("timm", 1.0)
    assert (training.last_batch, training.warmup_start) == ("keep", "zero")


def test_a_warm_up_that_nobody_chose_fits_into_fewer_epochs(tmp_path):
    """A share of the epochs, as in the recipe; one that was chosen is refused."""
    fast = {"training": {"recipe": "fast", "epochs": 2}}
    assert config_from_dict(fast).training.warmup_epochs == 0.4  # of 2.4 in 12
    assert load_config("images").training.warmup_epochs > 2
    short = load_config("images", ["training.epochs=2"]).training
    whole = load_config("images").training
    share = whole.warmup_epochs / whole.epochs
    assert short.warmup_epochs == pytest.approx(2 * share, abs=1e-3)
    longer = load_config("images", [f"training.epochs={2 * whole.epochs}"]).training
    assert longer.warmup_epochs == whole.warmup_epochs
    with pytest.raises(InputError, match="warmup_epochs <= training.epochs"):
        load_config("images", ["training.epochs=2", "training.warmup_epochs=3"])


@pytest.mark.parametrize("epochs", [0, -1, 10**400, True])
@pytest.mark.parametrize("warmup", [1, 10**400, float("inf"), float("nan")])
def test_numbers_that_no_training_has_are_an_input_error(epochs, warmup, tmp_path):
    """Also where a file has them itself, whose warm-up is set against its epochs."""
    file = tmp_path / "c.yaml"
    file.write_text(
        yaml.safe_dump({"training": {"epochs": epochs, "warmup_epochs": warmup}})
    )
    try:
        load_config(file)
    except InputError as error:
        assert "\n" not in str(error)


def test_names_alone_take_their_direction_from_the_metric():
    config = config_from_dict(
        {
            "evaluators": ["accuracy", "cost"],
            "objectives": ["nll", "accuracy", "params"],
        }
    )
    directions = [one.direction for one in config.make_objectives()]
    assert directions == ["minimize", "maximize", "minimize"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"serach": {}}, "unknown key 'serach'; allowed here: seed, data"),
        ({"data": {"nam": 1}}, "unknown key 'data.nam'; allowed here: name, root"),
        (
            {"search": {"fidelity": {"x": 1}}},
            "unknown key 'search.fidelity.x'; allowed here: min_epochs",
        ),
        ({"training": {"epochs": 0}}, "training.epochs: .*greater than or equal to 1"),
        ({"training": {"epochs": "many"}}, "training.epochs: .*got 'many'"),
        ({"training": {"epochs": 2, "warmup_epochs": 3}}, "warmup_epochs <= "),
        ({"training": {"flip": "alternating"}}, "needs training.horizontal_flip > 0"),
        (
            {"training": {"randaugment_library": "timm", "randaugment": 11}},
            "at most 10 with .*timm, got 11",
        ),
        (
            {"training": {"randaugment_std": 1.0}},
            "needs training.randaugment_library: timm, got torchvision",
        ),
        (
            {
                "training": {"last_batch": "keep"},
                "resources": {"workers_per_trial": 2},
            },
            "with resources.workers_per_trial 2 it must be drop",
        ),
        ({"space": {"backbone": "resnet1"}}, "unknown backbone preset 'resnet1'"),
        ({"space": {"attention": {"window": 0}}}, "attention.window is a positive"),
        ({"space": {"constraints": {"max_size": 3}}}, "has no key 'max_size'"),
        ({"evaluators": ["acuracy"]}, "unknown evaluator 'acuracy'; known are"),
        ({"evaluators": {"accuracy": {"x": 1}, "cost": {}}}, "has no option 'x'"),
        ({"objectives": ["speed"]}, "unknown metric 'speed'; there are"),
        ({"objectives": ["ape"]}, "objective 'ape' is not measured by the evaluators"),
        (
            {"evaluators": ["accuracy", "flatness"], "objectives": ["accuracy", "nep"]},
            r"'nep' is mostly noise .*ICC.*search.allow_noisy=true",
        ),
        ({"objectives": ["accuracy", "accuracy"]}, "objectives must differ"),
        ({"objectives": [{"metric": "accuracy", "direction": "up"}]}, "'maximize' or"),
        ({"objectives": [{"metric": "accuracy", "goal": "up"}]}, "keys metric and"),
        ({"objectives": []}, "objectives: "),
        ({"name": "../evil"}, "name: .*pattern"),
        ({"name": "a/b"}, "name: .*pattern"),
        ([], "a config is a mapping of sections, got list"),
    ],
)
def test_bad_configs_are_refused_in_one_line(data, message):
    with pytest.raises(InputError, match=message) as caught:
        config_from_dict(data, "my.yaml")
    assert str(caught.value).startswith("my.yaml: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"space": {"backbone": {"preset": ["a"]}}}, "unknown backbone preset .'a'"),
        ({"evaluators": [[1]]}, "evaluators are names, or options by name; got .1"),
        ({"evaluators": {"accuracy": 3}}, "evaluators.accuracy: input should be"),
        (
            {"objectives": [{"metric": {"a": 1}}]},
            "objectives.0.metric: input should be",
        ),
        ({"objectives": [[]]}, "objectives.0: "),
        ({"objectives": [{}]}, "keys metric and direction"),
        ({"training": {"learning_rate": float("inf")}}, "learning_rate: .*finite"),
        ({"plugins": [[1]]}, "plugins.0: input should be a valid string"),
        ({"x" * 10_000: 1}, "unknown key 'xxx"),
        ({"name": "x" * 10_000}, "name: "),
    ],
)
def test_odd_values_are_told_as_shortly(data, message):
    with pytest.raises(InputError, match=message) as caught:
        config_from_dict(data, "my.yaml")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_on_and_off_are_words_although_yaml_reads_booleans(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("training: {amp: off, channels_last: on}")
    training = load_config(path).training
    assert (training.amp, training.channels_last) == ("off", "on")
    training = load_config(path, ["training.channels_last=off"]).training
    assert (training.amp, training.channels_last) == ("off", "off")
    training = load_config(path, ["training.amp='off'", "training.amp=no"]).training
    assert training.amp == "off"
    with pytest.raises(InputError, match="training.amp: .*got 'on'"):
        load_config(path, ["training.amp=on"])
    # Where a setting is a boolean it stays one.
    assert load_config(path, ["search.baselines=off"]).search.baselines is False


def test_overrides_are_yaml_by_path(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("training: {epochs: 3}\ndata:\n")
    config = load_config(
        path,
        [
            "training.batch_size=16",
            "data.name=fake",
            "space.attention.heads=[1, 2, 4]",
            "search.fidelity.min_epochs=2",
        ],
    )
    assert (config.training.epochs, config.training.batch_size) == (3, 16)
    assert config.data == DataConfig(name="fake")
    assert config.space.make_attention().heads == (1, 2, 4)
    assert config.search.fidelity is not None
    assert config.search.fidelity.min_epochs == 2


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epochs", "a change is key.path=value"),
        ("=3", "a change is key.path=value"),
        ("seed.x=3", "'seed' has no keys of its own"),
        ("training.epochs=[", "the value must be YAML"),
        ("trainin.epochs=3", "unknown key 'trainin'"),
    ],
)
def test_bad_overrides_are_refused(tmp_path, override, message):
    path = tmp_path / "c.yaml"
    path.write_text("seed: 1\n")
    with pytest.raises(InputError, match=message):
        load_config(path, [override])


def test_sources_that_are_no_config_are_named(tmp_path):
    with pytest.raises(
        InputError, match=r"preset \(.*quickstart.*\); there is no 'qu'"
    ):
        load_config("qu")
    bad = tmp_path / "bad.yaml"
    bad.write_text("a: [")
    with pytest.raises(InputError, match="must be YAML"):
        load_config(bad)
    bad.write_text("!!python/object/apply:os.system ['true']")
    with pytest.raises(InputError, match="must be YAML"):
        load_config(bad)
    bad.write_text("- 1")
    with pytest.raises(InputError, match="a mapping of sections, got list"):
        load_config(bad)


def test_a_study_lends_its_config(tmp_path):
    config = load_config("quickstart")
    content = {"study": {"format": "any"}, **config.to_dict()}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content))
    assert load_config(tmp_path) == config


@given(st.integers(0, 10**6), st.integers(1, 500), st.floats(1e-6, 1))
def test_values_survive_yaml(seed, epochs, rate):
    config = SearchConfig.model_validate(
        {
            "seed": seed,
            "training": {"epochs": epochs, "learning_rate": rate, "warmup_epochs": 0},
        }
    )
    again = config_from_dict(yaml.safe_load(yaml.safe_dump(config.to_dict())))
    assert again == config


def test_tracking_is_a_list_of_names_or_a_section(tmp_path):
    assert config_from_dict({}).tracking.to == []
    file = tmp_path / "c.yaml"
    file.write_text("{}")
    short = load_config(file, ["tracking=[tensorboard, wandb]"])
    long = load_config(file, ["tracking.to=[tensorboard, wandb, wandb]"])
    assert short == long
    assert short.tracking.to == ["tensorboard", "wandb"]
    assert load_config(file, ["tracking=mlflow"]).tracking.to == ["mlflow"]
    for uri in ("https://host:5000", "sqlite:///a.db", "databricks", "http://me@host"):
        config = config_from_dict({"tracking": {"mlflow_uri": uri}})
        assert config.tracking.mlflow_uri == uri


@pytest.mark.parametrize(
    ("tracking", "message"),
    [
        (["tensorbord"], r"tracking.to.0: input should be 'tensorboard', 'mlflow'"),
        ({"mlflow_uri": "mlruns"}, "must be a server .* or a database .*got 'mlruns'"),
        ({"mlflow_uri": "file:///mlruns"}, "must be a server"),
        ({"mlflow_uri": "https://me:secret@host"}, "must not hold a password"),
        ({"mode": "offline"}, "unknown key 'tracking.mode'; allowed here: to, project"),
    ],
)
def test_what_tracking_cannot_be(tracking, message):
    with pytest.raises(InputError, match=message) as error:
        config_from_dict({"tracking": tracking})
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("read", [load_config, read_config])
def test_a_study_is_called_as_its_directory_unless_the_user_names_it(tmp_path, read):
    named, nameless = tmp_path / "named.yaml", tmp_path / "cats.yaml"
    named.write_text("name: mine\n")
    nameless.write_text("seed: 1\n")
    study = tmp_path / "old"
    study.mkdir()
    (study / "config.yaml").write_text("study: {format: nas-study/1}\nname: images\n")
    for source, out, changes, name in (
        ("quickstart", None, [], "quickstart"),
        ("quickstart", "runs/2024", [], "2024"),
        ("quickstart", "runs/a", ["name=b"], "b"),
        ("quickstart", "..", [], "quickstart"),  # no name at all
        (named, "runs/a", [], "mine"),
        (nameless, "runs/a", [], "a"),
        (nameless, None, [], "cats"),
        (study, None, [], "images"),
        (study, "runs/a", [], "a"),
    ):
        assert read(source, changes, out).name == name


@pytest.mark.parametrize(
    ("parent", "untrained"),
    [
        ({"model": "timm:resnet18"}, True),
        ({"model": "torchvision:resnet18"}, True),
        ({"model": "timm:resnet18", "weights": "mine.pt"}, False),
        ({"model": "timm:resnet18", "pretrained": True}, False),
        ({"model": "mine:network"}, False),  # may read its weights itself
        ({"model": "an/export"}, False),
        ({"model": "an/architecture.yaml"}, True),
        ({"model": "an/architecture.yaml", "weights": "mine.pt"}, False),
        ({"train": True}, False),
    ],
)
def test_parents_whose_weights_nobody_trained_are_known(parent, untrained):
    assert ParentConfig(**parent).is_untrained is untrained


@pytest.mark.parametrize(
    ("model", "modules"),
    [
        ("timm:resnet18", ()),
        ("torchvision:resnet18,stem_width=32", ()),
        ("mine.networks:make", ("mine.networks",)),
        ("an/export", ()),
    ],
)
def test_modules_of_the_user_that_make_a_parent_are_known(model, modules):
    assert ParentConfig(model=model).own_modules == modules


def test_an_empty_file_is_not_a_config_of_defaults(tmp_path):
    (tmp_path / "a.yaml").write_text("# nothing\n")
    with pytest.raises(InputError, match="and this file is empty"):
        load_config(tmp_path / "a.yaml")
