"""The table of claims as JSON, CSV and Markdown."""

from collections.abc import Iterator
from statistics import fmean
from typing import Any

from nas.claims.claim import ClaimResult, PartResult
from nas.claims.run import ClaimsRun

FORMAT = "claims/1"


def to_dict(run: ClaimsRun) -> dict[str, Any]:
    """Everything as plain data, for JSON.

    Args:
        run: The claims.
    """
    return {
        "format": FORMAT,
        "config": run.config.to_dict(),
        "claims": run.plan.model_dump(mode="json"),
        "networks": [network_row(run, one.label) for one in run.candidates],
        "failures": list(run.trained.failures),
        "duration_s": sum(
            one.duration_s for one in (*run.trained.networks, *run.trained.few)
        ),
        "rows": [_claim_dict(run, result) for result in run.results],
    }


def network_row(run: ClaimsRun, label: str) -> dict[str, Any]:
    """Size and accuracy of one network.

    Args:
        run: The claims.
        label: Which network.
    """
    architecture = next(
        one.architecture for one in run.candidates if one.label == label
    )
    runs = [one for one in run.trained.networks if one.label == label]
    name = getattr(architecture.backbone, "model", "") or str(architecture.placement)
    row: dict[str, Any] = {
        "label": label,
        "network": name,
        "params": architecture.params,
        "macs": architecture.macs,
        "seeds": [one.seed for one in runs],
    }
    for quantity in ("test_error", "train_nll"):
        values = [o.values[quantity].value for o in runs if quantity in o.values]
        row[quantity] = fmean(values) if values else None
    durations = [one.duration_s for one in runs]
    row["duration_s"] = fmean(durations) if durations else None
    return row


def _claim_dict(run: ClaimsRun, result: ClaimResult) -> dict[str, Any]:
    claim = result.claim
    return {
        "number": claim.number,
        "claim": claim.sentence,
        "section": claim.section,
        "verdict": result.verdict,
        "p_holm": result.p,
        "note": result.note,
        "does_not_show": claim.limits,
        "parts": [_part_dict(run, part) for part in result.parts],
    }


def _part_dict(run: ClaimsRun, result: PartResult) -> dict[str, Any]:
    part, found = result.part, result.contrast
    row: dict[str, Any] = {
        "quantity": part.quantity,
        "compared": part.text,
        "weights": dict(part.weights),
        "unit": part.unit,
        "claimed": "above 0" if part.sign > 0 else "below 0",
        "value": None,
        "ci": [None, None],
        "p": None,
        "reading": result.reading,
        "num_trainings": 0,
        "reason": result.reason,
        "values": {
            label: [[v.value, v.error] for v in _values(run, part.quantity, label)]
            for label in part.weights
        },
    }
    if found is not None:
        row |= {
            "value": found.estimate,
            "ci": list(found.interval),
            "p": found.p,
            "num_trainings": found.num_runs,
            "seed_error": found.seed_error,
            "image_error": found.image_error,
        }
    return row


def _values(run: ClaimsRun, quantity: str, label: str) -> list[Any]:
    return list(run.trained.measured().get(quantity, {}).get(label, []))


CSV_COLUMNS = (
    "claim", "sentence", "section", "verdict", "p_holm", "quantity", "compared",
    "unit", "claimed", "value", "low", "high", "p", "reading", "num_trainings",
    "note", "does_not_show",
)  # fmt: skip


def csv_rows(run: ClaimsRun) -> Iterator[dict[str, Any]]:
    """One row for every part, and one for a claim without parts.

    Args:
        run: The claims.

    Yields:
        Cells by :data:`CSV_COLUMNS`.
    """
    for row in to_dict(run)["rows"]:
        shared = {
            "claim": row["number"],
            "sentence": row["claim"],
            **{k: row[k] for k in ("section", "verdict", "p_holm", "does_not_show")},
        }
        for part in row["parts"] or [{}]:
            low, high = part.get("ci", (None, None))
            kept = {key: part.get(key) for key in CSV_COLUMNS if key in part}
            note = part.get("reason") or row["note"]
            yield {**shared, **kept, "low": low, "high": high, "note": note}


def markdown(run: ClaimsRun) -> str:
    """Both tables, the rule of the verdicts and what is not shown.

    Args:
        run: The claims.

    Returns:
        Markdown.
    """
    data = to_dict(run)
    lines = [
        "| | claim | measured | value [95% interval] | claimed | n | verdict |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in data["rows"]:
        p = "" if row["p_holm"] is None else f" (p = {row['p_holm']:.2g})"
        head = f"{row['claim']} ({row['section']})"
        verdict = f"**{row['verdict']}**{p}"
        if not row["parts"]:
            lines.append(
                f"| {row['number']} | {head} | {row['note']} | | above 0 | | "
                f"{verdict} |"
            )
        for index, part in enumerate(row["parts"]):
            first = index == 0
            lines.append(
                f"| {row['number'] if first else ''} | {head if first else ''} | "
                f"{part['compared']} | {value_text(part)} | {part['claimed']} | "
                f"{part['num_trainings']} | "
                f"{verdict if first else ''} |"
            )
    lines += ["", *network_table(data), ""]
    lines += ["What the numbers do not show:", ""]
    lines += [f"- ({row['number']}) {row['does_not_show']}" for row in data["rows"]]
    if data["failures"]:
        lines += ["", "Trainings that gave nothing:", ""]
        lines += [f"- {line}" for line in data["failures"]]
    return "\n".join(lines) + "\n"


def network_table(data: dict[str, Any]) -> list[str]:
    """The networks, as lines of Markdown.

    Args:
        data: Of :func:`to_dict`.
    """
    lines = [
        "| network | | parameters | MACs | seeds | test error | training NLL | "
        "seconds |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in data["networks"]:
        error, nll, time = row["test_error"], row["train_nll"], row["duration_s"]
        lines.append(
            f"| {row['label']} | `{row['network']}` | {row['params']:,} | "
            f"{row['macs']:,} | {len(row['seeds'])} | "
            f"{'' if error is None else f'{error:.4f}'} | "
            f"{'' if nll is None else f'{nll:.4f}'} | "
            f"{'' if time is None else f'{time:.0f}'} |"
        )
    return lines


def value_text(part: dict[str, Any]) -> str:
    """Value, interval and unit of a part, or why there is none.

    Args:
        part: Of :func:`to_dict`.
    """
    if part["value"] is None:
        return str(part["reason"])
    return " ".join((*interval_text(part), part["unit"]))


def interval_text(part: dict[str, Any]) -> tuple[str, str]:
    """Value and interval of a part, each "-" if there is none.

    Args:
        part: Of :func:`to_dict`.
    """
    if part["value"] is None:
        return "-", "-"
    low, high = part["ci"]
    return f"{part['value']:+.4f}", f"[{low:+.4f}, {high:+.4f}]"


def counts(run: ClaimsRun) -> str:
    """How many claims got which verdict, in one line."""
    verdicts = [result.verdict for result in run.results]
    return ", ".join(
        f"{verdicts.count(word)} {word}"
        for word in ("holds", "does not hold", "cannot tell")
    )
