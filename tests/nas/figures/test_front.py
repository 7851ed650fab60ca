import xml.etree.ElementTree as ElementTree

import pytest

from nas.figures.front import BASELINE_MARKERS, draw, front_figure
from nas.ledger.trial import Objective
from nas.pareto.table import Constraint, ParetoTable, parse_axes
from search_spaces.errors import InputError


def figure_of(study, axes=None, constraints=()):
    return front_figure([ParetoTable.of(study, axes, constraints)])


def test_one_panel_for_two_metrics(known_study):
    figure = figure_of(known_study)
    (study,) = figure.studies
    (panel,) = study.panels
    assert (panel.x_metric, panel.y_metric) == ("params", "accuracy")
    assert panel.front == ((100, 200, 400), (0.70, 0.90, 0.95))
    assert panel.dominated == ((200, 300), (0.80, 0.85))
    assert panel.infeasible == ((), ())
    assert panel.baselines == {"all_conv": ((100,), (0.70,))}
    assert study.num_pareto == 3


def test_the_step_line_goes_through_the_front_at_right_angles(known_study):
    panel = figure_of(known_study).studies[0].panels[0]
    assert panel.step.x == (100, 200, 200, 400, 400)
    assert panel.step.y == (0.70, 0.70, 0.90, 0.90, 0.95)


def test_progress_is_the_hypervolume_at_the_stated_reference(known_study):
    figure = figure_of(known_study)
    table = ParetoTable.of(known_study)
    progress = figure.studies[0].progress
    assert figure.reference == pytest.approx((0.675, 430))
    assert progress.num_trials == (1, 2, 3, 4, 5)
    assert list(progress.hypervolume) == sorted(progress.hypervolume)
    assert progress.hypervolume[-1] == pytest.approx(table.front.hypervolume())


def test_infeasible_points_are_apart(known_study):
    panel = figure_of(known_study, None, [Constraint.parse("params<=300")])
    panel = panel.studies[0].panels[0]
    assert panel.infeasible == ((400,), (0.95,))
    assert panel.front == ((100, 200), (0.70, 0.90))
    assert max(panel.step.y) == 0.90


def test_three_metrics_make_three_panels_with_a_front_each(make_study, make_trials):
    study = make_study(make_trials(30))
    axes = parse_axes("accuracy,params,low_pass:maximize", study.objectives)
    figure = figure_of(study, axes)
    pairs = [(p.y_metric, p.x_metric) for p in figure.studies[0].panels]
    assert pairs == [
        ("accuracy", "params"), ("accuracy", "low_pass"), ("params", "low_pass")
    ]  # fmt: skip
    table = ParetoTable.of(study, axes)
    for panel in figure.studies[0].panels:
        two = ParetoTable.of(
            study, [a for a in axes if a.metric in (panel.x_metric, panel.y_metric)]
        )
        assert len(panel.front.x) == two.front.is_pareto.sum()
        assert set(panel.front.y) <= set(panel.step.y)
        both = len(panel.front.x) + len(panel.elsewhere.x)
        assert both >= table.front.is_pareto.sum()


def test_labels_and_bars_belong_to_the_points(known_study):
    panel = figure_of(known_study).studies[0].panels[0]
    assert panel.labels == ("CC-CC", "CC-CM", "MM-MM")
    assert panel.bars == ((200,), (0.90,), (0.0,), (0.02,))


def test_points_that_cannot_be_told_from_the_parent_are_marked(make_study, make_trial):
    error = {"standard_errors": {"accuracy": 0.01}}
    trials = [
        make_trial(0, "CC", accuracy=0.70, params=1, baseline="all_conv", **error),
        make_trial(1, "CM", accuracy=0.71, params=2, **error),
        make_trial(2, "MM", accuracy=0.80, params=3, **error),
    ]
    study = figure_of(make_study(trials)).studies[0]
    assert study.panels[0].can_be_told == (None, False, True)
    assert any("hollow: cannot be told" in note for note in study.notes)


def test_the_reliability_of_one_training_is_written_below(make_study, make_trial):
    trials = [
        make_trial(4 * i + s, p, accuracy=0.5 + 0.1 * i + 0.01 * s, params=i, seed=s)
        for i, p in enumerate(("CC", "CM", "MM"))
        for s in range(3)
    ]
    (note, *_) = figure_of(make_study(trials)).studies[0].notes
    assert note.startswith("one training: accuracy ICC 0.99 [")


def test_every_baseline_has_its_own_marker():
    from nas.sampling.baselines import BASELINES

    assert set(BASELINE_MARKERS) == set(BASELINES)
    assert len(set(BASELINE_MARKERS.values())) == len(BASELINES)


def test_two_studies_share_the_reference(known_study, make_study, make_trial):
    worse = make_study([make_trial(0, accuracy=0.1, params=1000)], name="worse")
    figure = front_figure([ParetoTable.of(known_study), ParetoTable.of(worse)])
    assert figure.reference == pytest.approx((0.1 - 0.085, 1000 + 90))
    assert [study.name for study in figure.studies] == ["known", "worse"]
    last = [study.progress.hypervolume[-1] for study in figure.studies]
    assert last[0] > last[1] > 0


def test_one_objective_shows_progress_alone(known_study):
    figure = figure_of(known_study, [Objective("accuracy", "maximize")])
    assert figure.studies[0].panels == ()
    assert figure.studies[0].progress.hypervolume[-1] == pytest.approx(0.275)


def test_a_pruned_or_empty_study_has_no_figure(make_study):
    with pytest.raises(InputError, match="no trained trial"):
        figure_of(make_study([]))


def test_different_axes_cannot_be_compared(known_study):
    other = ParetoTable.of(known_study, [Objective("accuracy", "maximize")])
    with pytest.raises(InputError, match="same metrics"):
        front_figure([ParetoTable.of(known_study), other])


def test_five_metrics_are_too_many(make_study, make_trials):
    study = make_study(make_trials(5))
    axes = parse_axes(
        "accuracy,params,low_pass:maximize,hessian_max:minimize,num_msas:minimize",
        study.objectives,
    )
    with pytest.raises(InputError, match="at most 4 metrics"):
        figure_of(study, axes)


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_drawing_writes_a_picture(known_study, tmp_path, suffix):
    path = tmp_path / f"front.{suffix}"
    draw(figure_of(known_study), path)
    if suffix == "png":
        assert path.read_bytes().startswith(b"\x89PNG")
    else:
        assert ElementTree.parse(path).getroot().tag.endswith("svg")


def test_drawing_two_studies_with_baselines_and_bounds(known_study, tmp_path):
    tables = [ParetoTable.of(known_study, None, [Constraint.parse("params<=300")])] * 2
    draw(front_figure(tables), tmp_path / "two.png")
    assert (tmp_path / "two.png").stat().st_size > 10_000


def test_an_unknown_suffix_is_told(known_study, tmp_path):
    with pytest.raises(InputError, match=r"ends in one of .png, .svg"):
        draw(figure_of(known_study), tmp_path / "front.gif")
