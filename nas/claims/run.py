"""``nas claims`` as one call: train, measure, judge."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nas.claims.claim import ClaimResult, Verdict, judge
from nas.claims.claims import CLAIMS
from nas.claims.networks import compared
from nas.claims.plan import ClaimsPlan
from nas.claims.trained import Trained, train_all
from nas.config import SearchConfig, with_plugins
from nas.rule.rule_test import RuleTest, rule_test
from nas.train_run import Candidate
from search_spaces.errors import InputError

RULE = 7
"""Number of the claim that the rule test answers."""

VERDICTS: Mapping[str, Verdict] = {
    "supported": "holds",
    "contradicted": "does not hold",
    "negligible": "does not hold",
    "inconclusive": "cannot tell",
}
"""What the rule test's verdicts are in the words of this table."""


@dataclass(frozen=True)
class ClaimsRun:
    """Everything that the table of claims is made of.

    Attributes:
        config: Data, recipe, evaluators.
        plan: What was compared.
        candidates: The networks.
        trained: Their trainings.
        results: The nine claims.
    """

    config: SearchConfig
    plan: ClaimsPlan
    candidates: tuple[Candidate, ...]
    trained: Trained
    results: tuple[ClaimResult, ...]


def run_claims(
    config: SearchConfig,
    plan: ClaimsPlan,
    out: str | Path,
    *,
    address: str | None = None,
    quiet: bool = False,
) -> ClaimsRun:
    """Train the networks, measure them and judge the nine claims.

    Args:
        config: Data, recipe, backbone, evaluators and resources.
        plan: What is compared.
        out: Directory; one that holds the same run is continued.
        address: Ray cluster, instead of the config's.
        quiet: Show no progress.

    Returns:
        The claims and what they are made of.

    Raises:
        InputError: The networks cannot be sized, the table for the rule cannot be
            used, or ``out`` holds another run.
        SearchFailedError: Not one training is complete.
        SearchInterrupted: Ctrl-C or SIGTERM; the same call goes on.
    """
    config = with_plugins(config)
    answered = {RULE: the_rule(plan)}  # a wrong table is told before hours of training
    candidates = compared(config, plan)
    trained = train_all(
        candidates, config, plan, Path(out), address=address, quiet=quiet
    )
    results = judge(CLAIMS, trained.measured(), answered)
    return ClaimsRun(config, plan, tuple(candidates), trained, tuple(results))


def the_rule(plan: ClaimsPlan) -> tuple[Verdict, str]:
    """What the rule test says of the plan's table.

    Args:
        plan: Names the table.

    Returns:
        The verdict in the words of this table, and the numbers.

    Raises:
        InputError: The table cannot be used.
    """
    if plan.table is None:
        return (
            "cannot tell",
            "no table was given: the question needs many placements (claims.table: a "
            "study or a table of `nas rule`)",
        )
    try:
        test = rule_test(plan.table)
    except InputError as error:
        raise error.within(f"claims.table {plan.table}") from error
    return VERDICTS[test.verdict], rule_note(test)


def rule_note(test: RuleTest) -> str:
    """Effect, interval and size of a rule test, in one sentence."""
    effect = test.end_of_stage
    text = (
        f"`nas rule`: {test.verdict}, from {test.num_trials} trainings of "
        f"{test.num_placements} placements"
    )
    low, high = effect.ci
    if effect.effect is not None and low is not None and high is not None:
        text += (
            f"; last slot minus the others of its stage: {effect.effect:+.4f} "
            f"[{low:+.4f}, {high:+.4f}] {test.metric}"
        )
    helps = {True: "helps", False: "hurts", None: "neither helps nor hurts for sure"}
    return f"{text}; an MSA at the ends {helps[test.ends_help]}"
