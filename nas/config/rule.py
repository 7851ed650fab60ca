"""Section ``rule``: what is to be asked of the study, said before the first trial."""

import hashlib
import json

from pydantic import Field

from nas.config.section import Section

HASH_KEY = "rule_plan_hash"
"""Key of the plan's hash in the part of config.yaml that is about the study."""


class RuleConfig(Section):
    """A registered plan of the rule test.

    It is written into config.yaml with a hash before the first trial. The verdict of
    its metric is then the one that was asked for; those of other metrics are
    exploratory and corrected for their number (Holm).

    Attributes:
        metric: The metric that the verdict is about.
        smallest_effect: Smallest effect of interest in the metric's unit; ``None`` is
            the default of ``nas rule``.
        trials: Complete trials after which the verdict is read; ``None`` for all that
            ``search.trials`` asks for.
    """

    metric: str = Field(default="accuracy", min_length=1)
    smallest_effect: float | None = Field(default=None, gt=0)
    trials: int | None = Field(default=None, ge=1)

    def digest(self) -> str:
        """Hash of the plan: 16 hexadecimal digits of SHA-256 over its JSON."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
