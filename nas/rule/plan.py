"""A plan that was registered before the first trial, and what it makes of a verdict."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nas.config.rule import HASH_KEY

if TYPE_CHECKING:
    from nas.study.study import Study


@dataclass(frozen=True)
class RulePlan:
    """What was said before the first trial.

    Attributes:
        metric: The metric that the verdict is about.
        smallest_effect: Smallest effect of interest, or ``None`` for the default.
        trials: Complete trials after which the verdict is read.
        digest: Hash of the plan as it stands in config.yaml.
        unchanged: Whether that is the hash that was written before the first trial.
    """

    metric: str
    smallest_effect: float | None
    trials: int
    digest: str
    unchanged: bool

    @classmethod
    def of_study(cls, study: "Study") -> "RulePlan | None":
        """The plan of a study, or ``None`` if it has none."""
        config = study.config
        if config.rule is None:
            return None
        digest = config.rule.digest()
        return cls(
            config.rule.metric,
            config.rule.smallest_effect,
            config.rule.trials or config.search.trials,
            digest,
            study.header.get(HASH_KEY) == digest,
        )

    def notes(self, num_trials: int) -> tuple[str, ...]:
        """What a reader of a verdict must know of the plan.

        Args:
            num_trials: Trials of the table.
        """
        if not self.unchanged:
            return (
                "the plan of the rule test was changed after the first trial, or never "
                "registered: its hash is not the one written then, so every verdict "
                "is exploratory",
            )
        if num_trials < self.trials:
            return (
                f"an early look: {num_trials} of the {self.trials} trials of the "
                "registered plan; only the verdict at its end was planned",
            )
        return ()

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "metric": self.metric,
            "smallest_effect": self.smallest_effect,
            "trials": self.trials,
            "hash": self.digest,
            "unchanged": self.unchanged,
        }
