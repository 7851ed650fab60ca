"""From a config to the page; covers trained, run, table, figures, page and writing."""

import csv
import json

import pytest
from test_claims_plan import SMALL

from nas.claims.claim import judge
from nas.claims.claims import CLAIMS
from nas.claims.contrast import Value
from nas.claims.networks import LABELS, RESNET, compared
from nas.claims.plan import load_plan
from nas.claims.run import ClaimsRun, the_rule
from nas.claims.trained import Trained, TrainedNetwork
from nas.claims.writing import write_claims
from nas.cli import main
from nas.commands.claims import _print as print_claims
from search_spaces import InputError


def made_up():
    """A run whose trainings never took place."""
    config, plan = load_plan("quickstart", SMALL)
    names = {part.quantity for claim in CLAIMS for part in claim.parts}
    names.discard("test_error_few")
    networks = [
        TrainedNetwork(
            label, seed, {n: Value(0.1 * seed + len(label)) for n in names}, {}, 1.0
        )
        for label in LABELS
        for seed in range(2)
    ]
    failures = ("few_images: ViT, seed 1: <b>diverged</b> | at step 3",)
    trained = Trained(tuple(networks), (), failures)
    results = judge(CLAIMS, trained.measured(), {7: the_rule(plan)})
    return ClaimsRun(
        config, plan, tuple(compared(config, plan)), trained, tuple(results)
    )


def test_all_files_tell_the_same(tmp_path):
    run = made_up()
    files = write_claims(run, tmp_path)
    data = json.loads((tmp_path / "claims.json").read_text())
    assert [row["number"] for row in data["rows"]] == list(range(1, 10))
    assert data["rows"][6]["verdict"] == "cannot tell"
    assert "no table was given" in data["rows"][6]["note"]
    with (tmp_path / "claims.csv").open() as file:
        rows = list(csv.DictReader(file))
    parts = [part for row in data["rows"] for part in row["parts"]]
    values = [float(row["value"]) for row in rows if row["value"]]
    assert values == [part["value"] for part in parts if part["value"] is not None]
    for text in ((tmp_path / "claims.md").read_text(), files[3].read_text()):
        for row in data["rows"]:
            assert row["verdict"] in text
        assert "test_error_few needs 2 or more trainings" in text
    page = files[3].read_text()
    assert "<b>diverged" not in page and "&lt;b&gt;diverged" in page
    assert 'src="http' not in page and "data:image/png;base64," in page
    assert (tmp_path / "figures" / "fit.svg").is_file()


def test_the_printed_table_fits_80_columns_and_loses_no_number(capsys):
    run = made_up()
    print_claims(run)
    text = capsys.readouterr().out
    table = text[: text.index("no room for: unit")].splitlines()
    assert {len(line) for line in table} == {80}
    for result in run.results:
        assert result.verdict in text
        for part in result.parts:
            if part.contrast is not None:
                low, high = part.contrast.interval
                assert f"{part.contrast.estimate:+.4f}" in text
                assert f"[{low:+.4f}, {high:+.4f}]" in text
    assert "7: no table was given" in text


def test_the_rule_is_read_off_the_published_study():
    _, plan = load_plan(
        "quickstart", ["claims.table=results/cifar10-placement/trials.csv"]
    )
    verdict, note = the_rule(plan)
    assert verdict in ("holds", "does not hold", "cannot tell")
    assert "136 placements" in note
    _, plan = load_plan("quickstart", ["claims.table=nowhere.csv"])
    with pytest.raises(InputError, match=r"claims.table nowhere.csv"):
        the_rule(plan)


def test_wrong_input_is_code_2(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(
            ["claims", "quickstart", "--set", "claims.seeds=1", "--out", str(tmp_path)]
        )
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


FAST = [
    "evaluators.flatness={max_batches: 4}",
    "claims={seeds: 2, vit_depth: 3}",
]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_mnist_from_the_command_to_the_page(tmp_path, capsys, monkeypatch):
    """The whole thing on real digits, with one network that cannot be trained."""
    out = tmp_path / "claims"
    words = [w for change in FAST for w in ("--set", change)]
    words = ["claims", "quickstart", *words, "--out", str(out), "--quiet"]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--format", "json"])
    assert ended.value.code == 0
    data = json.loads(capsys.readouterr().out)
    assert len(data["rows"]) == 9 and not data["failures"]
    known = {row["label"]: row["test_error"] for row in data["networks"]}
    assert known[RESNET] < 0.3  # it has learnt
    for row in data["rows"]:
        for part in row["parts"]:
            low, high = part["ci"]
            assert low <= part["value"] <= high
    figures = {path.stem for path in (out / "figures").glob("*.png")}
    assert {"fit", "fourier", "variance_depth", "cka", "hessian_spectrum", "lesion",
            "frequency_noise"} <= figures  # fmt: skip
    # The same command trains nothing again and says the same.
    before = (out / "all_images" / "study.log").read_bytes()
    with pytest.raises(SystemExit):
        main([*words, "--format", "json"])
    assert json.loads(capsys.readouterr().out)["rows"] == data["rows"]
    assert (out / "all_images" / "study.log").read_bytes() == before
    # Another plan does not mix with it.
    with pytest.raises(SystemExit) as ended:
        main([*words, "--set", "training.epochs=1"])
    assert ended.value.code == 2
