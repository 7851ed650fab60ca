"""Writes docs/api.md: ``python -m nas.api_reference > docs/api.md``.

The reference is made of the signatures and docstrings themselves, so it cannot say
something else than the code. A test compares it with the file.
"""

import importlib
import inspect
import re
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from typing import Any

PAGES: dict[str, tuple[str, ...]] = {
    "nas": (),  # everything in __all__
    "search_spaces": (),
    "evaluators.evaluator": ("Evaluator", "Evaluation", "Metric", "untouched"),
    "evaluators.data": ("ImageSet", "EvaluationData"),
    "evaluators.registry": (
        "register_evaluator",
        "make_evaluator",
        "make_evaluators",
        "all_metrics",
    ),
    "nas.config": ("config_from_dict",),
    "nas.data.datasets": (
        "Dataset",
        "RawDataset",
        "Split",
        "load_dataset",
        "register_dataset",
    ),
    "nas.scoring.trial_run": ("TrialRun", "TrialOutcome"),
    "nas.scoring.from_scratch": ("train_and_evaluate", "evaluate"),
    "nas.scoring.training": ("train",),
    "nas.pareto.front": (
        "non_dominated",
        "hypervolume",
        "hypervolume_over_trials",
        "reference_point",
    ),
    "nas.pareto.table": ("ParetoTable", "Constraint"),
    "nas.figures.front": ("front_figure", "draw"),
    "nas.rule.rule_test": ("rule_test",),
    "nas.export.exporter": ("export",),
    "nas.data.preprocessing": ("Preprocessing",),
    "nas.report.page": ("write_report",),
    "nas.figures.placement": ("to_svg", "to_text"),
}
"""What is meant to be used from Python, by module."""

INTRODUCTION = """# Python reference

Everything that the commands do is a call. This page is written by
`python -m nas.api_reference` from the docstrings.

```python
import nas

study = nas.Study.open("runs/quickstart")
print(study.table().sort_values("accuracy").tail())
```
"""


def reference() -> str:
    """The text of docs/api.md."""
    parts = [INTRODUCTION]
    for module_name, names in PAGES.items():
        module = importlib.import_module(module_name)
        summary = inspect.getdoc(module) or ""
        parts.append(f"## {module_name}\n\n{summary.split(chr(10) * 2)[0]}\n")
        for name in names or module.__all__:
            parts.append(_entry(module_name, name, getattr(module, name)))
    return "\n".join(parts)


def _entry(module_name: str, name: str, thing: Any) -> str:
    title = f"### `{module_name}.{name}`"
    if not callable(thing):
        kind = f"A `{type(thing).__name__}`"
        keys = f" with the keys {', '.join(f'`{key}`' for key in thing)}"
        return f"{title}\n\n{kind}{keys if isinstance(thing, dict) else ''}.\n"
    text = f"{title}\n\n{_signature(name, thing)}{_prose(thing)}\n"
    if inspect.isclass(thing):
        for method, found in vars(thing).items():
            if not method.startswith("_"):
                line = _method_line(method, found, is_dataclass(thing), thing)
                text += line
    return text


def _signature(name: str, thing: Any) -> str:
    if inspect.isclass(thing) and not is_dataclass(thing):
        return ""
    try:
        parameters = inspect.signature(thing).parameters.values()
    except ValueError:
        return ""
    return f"```text\n{name}({', '.join(_parameters(parameters))})\n```\n\n"


def _parameters(parameters: Iterable[inspect.Parameter]) -> list[str]:
    """Names and plain defaults; types read differently from version to version."""
    shown = []
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in shown:
            shown.append("*")
        default = parameter.default
        text = parameter.name
        if default is not parameter.empty:
            plain = default is None or type(default) in (bool, int, float, str)
            text += f"={default!r}" if plain else "=…"
        shown.append(text)
    return shown


def _method_line(method: str, found: Any, is_value: bool, owner: Any) -> str:
    target = found
    if isinstance(found, classmethod | staticmethod):
        target = found.__func__
    elif isinstance(found, property):
        target = found.fget
    elif hasattr(found, "func") and not callable(found):  # cached_property
        target = found.func
    if not inspect.isfunction(target):
        return ""
    if is_value and method in {field.name for field in fields(owner)}:
        return ""
    first = _plain((inspect.getdoc(target) or "").split("\n\n")[0])
    first = first.replace("\n", " ")
    arguments = ""
    if callable(found) or isinstance(found, classmethod | staticmethod):
        names = [
            p for p in inspect.signature(target).parameters if p not in ("self", "cls")
        ]
        arguments = f"({', '.join(names)})"
    return f"- `.{method}{arguments}` {first}\n"


def _prose(thing: Any) -> str:
    """Google sections become bold lines with lists."""
    text = _plain(inspect.getdoc(thing) or "")
    lines = []
    for line in text.splitlines():
        section = re.fullmatch(r"(Args|Attributes|Returns|Raises|Yields):", line)
        if section:
            lines.append(f"**{section[1]}**\n")
        elif re.match(r"    \S", line):
            lines.append("- " + line.strip())
        elif line.startswith("     "):
            lines.append("  " + line.strip())
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Sphinx roles lose their frame, and code its second backtick."""
    return re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text).replace("``", "`")


if __name__ == "__main__":
    print(reference(), end="")
