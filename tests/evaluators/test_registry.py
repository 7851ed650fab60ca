import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from evaluators import names, registry
from evaluators.blocks.low_pass import LowPass
from evaluators.classification.accuracy import Accuracy
from evaluators.classification.calibration import NLL
from evaluators.evaluator import Evaluation, Evaluator, Metric
from evaluators.registry import (
    EVALUATORS,
    all_metrics,
    make_evaluator,
    make_evaluators,
    metrics_page,
    register_evaluator,
)
from search_spaces.errors import InputError


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    monkeypatch.setattr(registry, "EVALUATORS", dict(EVALUATORS))
    # the table of names is shared: what a test adds must go again
    known = dict(names.METRICS)
    monkeypatch.setattr(names, "METRICS", known)
    monkeypatch.setattr(registry, "METRICS", known)


def make_class(name: str, *metrics: Metric) -> type[Evaluator]:
    @dataclass(frozen=True)
    class New(Evaluator):
        def evaluate(self, model, data):
            return Evaluation({})

    New.name = name
    New.metrics = metrics
    return New


def test_the_fixed_metric_names_exist():
    assert set(all_metrics()) >= {
        *("accuracy", "nll", "ece", "brier", "hessian_max", "hessian_min", "ape"),
        *("nep", "sharpness", "low_pass", "low_pass_msa", "low_pass_conv"),
        *("low_pass_branch", "low_pass_branch_msa", "low_pass_branch_conv"),
        *("variance_change", "variance_change_msa", "variance_change_conv"),
        *("noise_drop_low", "noise_drop_high", "noise_drop", "lesion_msa"),
        *("lesion_conv", "lesion_last", "cka_adjacent", "params", "macs"),
        *("latency", "peak_memory"),
    }


def test_makes_evaluators_in_order_with_options():
    made = make_evaluators(
        {"low_pass": {"variant": "paper", "blocks": ["a", "b"]}, "accuracy": None}
    )
    assert made == [LowPass(variant="paper", blocks=("a", "b")), Accuracy()]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("flat", {}, "unknown evaluator 'flat'; known are accuracy, calibration, cka"),
        ("accuracy", {"batches": 3}, "no option 'batches'; it has seed, max_images"),
        ("cost", {"seed": 3}, "no option 'seed'; it has none"),
        ("accuracy", {"batch_size": "3"}, "must be a whole number, got '3'"),
        ("accuracy", {"batch_size": 2.5}, "must be a whole number, got 2.5"),
        ("accuracy", {"batch_size": True}, "must be a whole number, got True"),
        ("accuracy", {"max_images": "all"}, "a whole number or null, got 'all'"),
        ("low_pass", {"variant": "x"}, "must be 'nyquist' or 'paper', got 'x'"),
        ("low_pass", {"blocks": [1]}, "must be a list of a text, got"),
        ("low_pass", {"blocks": "ab"}, "must be a list of a text, got 'ab'"),
        ("frequency_noise", {"strength": "a"}, "must be a number, got 'a'"),
        ("frequency_noise", {"strength": float("nan")}, "must be at least 0, got nan"),
        ("accuracy", 3, "takes a mapping of options, got 3"),
        ("accuracy", [], "takes a mapping of options"),
    ],
)
def test_wrong_configurations_say_what_is_allowed(name, options, message):
    with pytest.raises(InputError) as error:
        make_evaluator(name, options)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_number_option_takes_whole_numbers():
    assert make_evaluator("frequency_noise", {"strength": 1}).strength == 1


def test_registering_twice_is_harmless_but_a_name_belongs_to_one_class():
    register_evaluator(Accuracy)
    with pytest.raises(InputError, match="'accuracy' exists already"):
        register_evaluator(make_class("accuracy"))


def test_a_new_evaluator_and_its_metrics_are_known():
    metric = Metric("beauty", "1", "maximize", "How beautiful", "our choice")
    beauty = make_class("beauty", metric, NLL)
    register_evaluator(beauty)
    assert isinstance(make_evaluator("beauty", {}), beauty)
    assert all_metrics()["beauty"] is metric


def test_a_metric_name_has_one_meaning():
    other = Metric("accuracy", "percent", "maximize", "Another", "our choice")
    with pytest.raises(InputError, match="metric 'accuracy' .* another meaning"):
        register_evaluator(make_class("new", other))


def test_the_documentation_is_up_to_date():
    page = Path(__file__).parents[2] / "docs" / "metrics.md"
    assert page.read_text() == metrics_page(), (
        "run `python -m evaluators.registry > docs/metrics.md`"
    )


def test_every_metric_is_in_the_documentation_once():
    rows = [line for line in metrics_page().splitlines() if line.startswith("| `")]
    assert sorted(row.split("`")[1] for row in rows) == sorted(all_metrics())


def test_names_without_torch_are_those_of_the_registry():
    """In a process of its own: there the table is read before anything registers."""
    code = """
import sys
from evaluators.names import METRICS
written = dict(METRICS)
assert "torch" not in sys.modules
from evaluators.registry import EVALUATORS
found = {n: tuple(m.name for m in e.metrics) for n, e in EVALUATORS.items()}
assert list(found.items()) == list(written.items()), (found, written)
from nas.config.names import DATA_SETS, SAMPLERS
names = list(DATA_SETS), list(SAMPLERS)
from nas.data.loaders import LOADERS
from nas.sampling import samplers
assert names == (list(LOADERS), list(samplers.SAMPLERS)), names
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
