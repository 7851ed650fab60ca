"""Whatever is read from users and strangers ends in a result or an InputError.

10,000 inputs from one seed, of five kinds. The fast suite takes a slice of each; a
failing input is named by its kind and number, and is the same on every machine.
"""

import importlib
import io
import json
import random
import shutil
import sys
from pathlib import Path

import pytest
from command_lines import VALUES, command_line, command_of
from mutation import ODD, spoil, spoil_bytes

from nas.cli import VERBS, main
from nas.config import config_from_dict, load_config
from nas.config.loading import PRESETS
from search_spaces.architecture import Architecture
from search_spaces.errors import InputError
from search_spaces.placement import Placement
from search_spaces.yaml_text import parse_yaml

SEED = 20261124
PUBLISHED = Path(__file__).parents[2] / "results" / "cifar10-placement"

ARCHITECTURE = """\
format: alternet/1
backbone: {preset: resnet50, stem: imagenet}
placement: CCC-CCCM-CMCMCM-CMCM
attention: {heads: [3, 6, 12, 24], head_dim: 64, window: 7}
num_classes: 1000
in_channels: 3
image_size: 224
"""

TABLE = """\
number,state,placement,seed,epochs,accuracy,params,duration_s
0,complete,CC-CC,0,3,0.71,1000,1.5
1,complete,CC-CM,0,3,0.75,1100,1.5
2,complete,CM-CC,0,3,0.70,1200,
3,pruned,CM-CM,1,1,0.60,1300,1.5
4,complete,MC-CM,1,3,0.74,1300,1.5
5,failed,MM-MM,0,3,,1500,1.5
6,complete,CM-MM,0,3,0.76,1400,1.5
7,complete,MM-CC,2,3,0.69,1400,1.5
"""


def generator(kind, number):
    return random.Random(f"{SEED} {kind} {number}")


def fuzz_placement(number, folder):
    rng = generator("placement", number)
    text = "".join(rng.choice("CMPS-") for _ in range(rng.randrange(30)))
    if number % 3:
        text = spoil(text, rng)
    parsed = Placement.parse(text)
    assert str(parsed) == text and parsed.num_blocks == len(text.replace("-", ""))


def fuzz_yaml(number, folder):
    rng = generator("yaml", number)
    presets = [path.read_text() for path in sorted(PRESETS.glob("*.yaml"))]
    texts = [ARCHITECTURE, *presets, (PUBLISHED / "config.yaml").read_text()]
    text = spoil(rng.choice(texts), rng)
    if text.lstrip().startswith("format: alternet"):
        Architecture.from_yaml(text + "\n").cost  # noqa: B018
        return
    data = parse_yaml(text)
    if isinstance(data, dict):
        data.pop("study", None)
        data.pop("plugins", None)  # modules of the machine, none of which is ours
    config = config_from_dict(data)
    json.dumps(config.to_dict(), allow_nan=False)
    config.space.make(10, 3, 32)


def fuzz_override(number, folder):
    rng = generator("override", number)
    known = [
        "training.epochs",
        "training.amp",
        "space.backbone.preset",
        "evaluators",
        "data",
        "seed",
        "objectives",
        "space.choices",
        "space.constraints",
        "search.options",
        "name",
        "space.backbone",
        "training.learning_rate",
        "resources.address",
        "storage",
        "space.attention.heads",
        "tracking",
        "search.fidelity",
        "space.latency_table",
    ]
    plain = [
        "[a]",
        "[[1]]",
        "[{metric:_{a:_1}}]",
        "{a:_1}",
        "{metric:_accuracy}",
        "[accuracy]",
        "[]",
        "{}",
        "3",
        "1e-3",
        "true",
        "{heads:_[[1],_[2],_[4]]}",
        "[1,x]",
    ]
    values = [one.replace("_", " ") for one in plain] + list(ODD)
    key = rng.choice(known)
    key = spoil(key, rng) if number % 4 == 0 else key
    value = rng.choice(values)
    if key.startswith("plugins") or (key == "space.latency_table" and "/" in value):
        return
    config = load_config("quickstart", [f"{key}={value}"])
    json.dumps(config.to_dict(), allow_nan=False)
    config.space.make(10, 3, 32)


def fuzz_table(number, folder):
    from nas.rule.placement_table import PlacementTable
    from nas.scoring.recorded import Recorded

    rng = generator("table", number)
    path = folder / "table.csv"
    if number % 2:
        path.write_bytes(spoil_bytes(TABLE.encode(), rng))
    else:
        path.write_bytes(spoil(TABLE, rng).encode(errors="surrogatepass"))
    read = Recorded if number % 3 == 0 else PlacementTable
    read.read(path)


ENTERED = []
"""Verbs whose own code has begun, behind the parser of the command line."""


def fuzz_command_line(number, folder):
    call(command_line(generator("command line", number)))


def call(words):
    """A command line in this process: code 0, or 2 with one line; nothing else."""
    out, err = io.StringIO(), io.StringIO()
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = out, err
    try:
        main(words)
    except SystemExit as ended:
        code = ended.code
    finally:
        sys.stdout, sys.stderr = streams
    assert code in (0, 2), (words, code, err.getvalue())
    assert "\x1b" not in out.getvalue() + err.getvalue(), words
    if code == 2:
        assert err.getvalue().count("\n") >= 1, words
        assert err.getvalue().splitlines()[-1].startswith("nas: "), words
        raise InputError(err.getvalue())


def fuzz_study(number, folder):
    rng = generator("study", number)
    files = {
        path.relative_to(folder / "study"): path.read_bytes()
        for path in sorted((folder / "study").rglob("*"))
        if path.is_file()
    }
    # The journal has tests of its own, which flip its bits and cut it at every line.
    names = [name for name in sorted(files) if name.name != "study.log"]
    name = rng.choice(names)
    path = folder / "study" / name
    path.write_bytes(spoil_bytes(files[name], rng))
    try:
        words = rng.choice(
            [
                ["status"], ["status", "--format", "json"], ["pareto"], ["show", "0"],
                ["pareto", "--format", "csv"], ["show", "best", "--format", "json"],
                ["report", "--to", str(folder / "page.html")], ["rule"],
            ]
        )  # fmt: skip
        call([words[0], str(folder / "study"), *words[1:]])
    finally:
        path.write_bytes(files[name])


FUZZERS = {
    fuzz_placement: 4000,
    fuzz_yaml: 2000,
    fuzz_override: 1500,
    fuzz_table: 1200,
    fuzz_command_line: 1000,
    fuzz_study: 300,
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where commands are started: a small study, a table, an architecture file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").write_text(ARCHITECTURE)
    (tmp_path / "table.csv").write_text(TABLE)
    study = tmp_path / "study"
    (study / "trials" / "0").mkdir(parents=True)
    for name in ("config.yaml", "study.log"):
        shutil.copy(PUBLISHED / name, study / name)
    (study / "trials" / "0" / "architecture.yaml").write_text(ARCHITECTURE)
    (study / "trials" / "0" / "history.csv").write_text(
        "epoch,train_loss,val_loss,val_accuracy\n1,2.3,2.2,0.2\n2,2.0,1.9,0.3\n"
    )
    (study / "trials" / "0" / "metrics.json").write_text('{"metrics": {}}')
    # What trains or measures for long stops where it would begin.
    begun = lambda *_, **__: (_ for _ in ()).throw(InputError("begun"))  # noqa: E731
    monkeypatch.setattr("nas.search_run.search", begun)
    monkeypatch.setattr("nas.search_run.resume", begun)
    # By its module: nas.train is the function that the package offers.
    module = importlib.import_module("nas.train_run")
    monkeypatch.setattr(module, "train_architectures", begun)
    monkeypatch.setattr("nas.data.datasets.load_dataset", begun)
    monkeypatch.setattr("nas.serving.server.StudyServer", begun)
    monkeypatch.setattr("evaluators.cost.block_latency.measure_latencies", begun)
    ENTERED.clear()
    for verb in VERBS:
        command = command_of(verb)
        monkeypatch.setattr(command, "callback", noted(verb, command.callback))
    return tmp_path


def noted(verb, callback):
    def call(*arguments, **options):
        ENTERED.append(verb)
        return callback(*arguments, **options)

    return call


def run(fuzz, numbers, folder):
    results = 0
    for number in numbers:
        try:
            fuzz(number, folder)
            results += 1
        except InputError as error:
            assert str(error)
        except Exception as error:
            raise AssertionError(f"{fuzz.__name__}({number}): {error!r}") from error
    return results


@pytest.mark.parametrize("fuzz", FUZZERS)
def test_a_slice(fuzz, folder):
    run(fuzz, range(FUZZERS[fuzz] // 100), folder)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("fuzz", FUZZERS)
def test_ten_thousand(fuzz, folder):
    num = FUZZERS[fuzz]
    results = run(fuzz, range(num), folder)
    assert 0 < results < num  # both ends are met


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_most_command_lines_get_behind_the_parser(folder, monkeypatch):
    num = FUZZERS[fuzz_command_line]
    for verb in VERBS:
        callback = noted(verb, lambda **_: 0)
        monkeypatch.setattr(command_of(verb), "callback", callback)
    run(fuzz_command_line, range(num), folder)
    assert len(ENTERED) > num / 2 and set(ENTERED) == set(VERBS)


def test_no_option_of_the_vocabulary_is_of_the_past():
    known = {name for verb in VERBS for p in command_of(verb).params for name in p.opts}
    assert set(VALUES) <= known


def test_they_are_ten_thousand():
    assert sum(FUZZERS.values()) == 10_000
