"""Trials whose metrics a test knows."""

from nas.ledger.trial import Trial, TrialState


def known_trial(number, placement="CC-CM", state=TrialState.COMPLETE, **fields):
    """A trial whose metrics may be given as accuracy=0.9, params=100."""
    names = set(Trial.__dataclass_fields__) - {"params"}  # here always the metric
    metrics = {name: float(v) for name, v in fields.items() if name not in names}
    own = {name: v for name, v in fields.items() if name in names}
    return Trial(
        **{
            "number": number,
            "state": state,
            "architecture": {},
            "placement": placement,
            "seed": 0,
            "epochs": 3,
            "metrics": metrics,
            "duration_s": 1.5,
            "started": 1e9 + number,
            "finished": 1e9 + number + 1.5,
            **own,
        }
    )
