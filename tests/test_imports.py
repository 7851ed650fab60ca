"""The house has no circle and no stair up: imports go one way, room by room."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

FLOORS = (
    "search_spaces/errors",
    "search_spaces/limits",
    "search_spaces/own_module",
    "search_spaces/yaml_text",
    "search_spaces/block_cost",
    "search_spaces/block_spec",
    "search_spaces/backbone",
    "search_spaces/counting",
    "search_spaces/blocks",
    "search_spaces/kinds",
    "search_spaces/placement",
    "search_spaces/diagram",
    "search_spaces/networks",
    "search_spaces/cost",
    "search_spaces/latency_table",
    "search_spaces/architecture",
    "search_spaces/spaces",
    "search_spaces/parents",
    "evaluators/names",
    "evaluators/data",
    "evaluators/evaluator",
    "evaluators/options",
    "evaluators/sampling",
    "evaluators/predictions",
    "evaluators/loss",
    "evaluators/classification",
    "evaluators/blocks",
    "evaluators/cost",
    "evaluators/registry",
    "nas/plugins",
    "nas/study_path",
    "nas/paths_in_study",
    "nas/csv_text",
    "nas/html_table",
    "nas/human_number",
    "nas/terminal",
    "nas/ledger",
    "nas/config",
    "nas/pareto",
    "nas/data",
    "nas/study",
    "nas/rule",
    "nas/prediction",
    "nas/sampling",
    "nas/figures",
    "nas/exporting",
    "nas/reporting",
    "nas/serving",
    "nas/scoring",
    "nas/execution",
    "nas/tracking",
    "nas/search_summary",
    "nas/search_run",
    "nas/train_run",
    "nas/claims",
    "nas/api",
    "nas/commands",
    "nas/cli",
    "nas/start",
    "nas/__main__",
)
"""From the ground up: a room imports from itself and from the rooms before it."""

OWNERS = {
    "ray": ("nas/execution", "nas/tracking"),
    "optuna": ("nas/ledger", "nas/sampling"),
}
"""Libraries that only their adapters may import."""


def modules() -> list[Path]:
    """Every module of the three packages but the packages' own ``__init__``."""
    found = [
        path
        for package in ("search_spaces", "evaluators", "nas")
        for path in sorted((ROOT / package).rglob("*.py"))
    ]
    return [path.relative_to(ROOT) for path in found if path.name != "__init__.py"]


def room_of(module: str) -> str:
    """``nas.study.layout`` is in the room ``nas/study``."""
    return "/".join(module.split(".")[:2])


def imports(path: Path) -> Iterator[str]:
    """What a module imports when it runs, late imports included; not for types."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in for_types:
            continue
        if isinstance(node, ast.ImportFrom):
            yield str(node.module)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_the_floors_are_those_that_there_are():
    rooms = {room_of(".".join(path.with_suffix("").parts)) for path in modules()}
    assert rooms == set(FLOORS)


@pytest.mark.parametrize("path", modules(), ids=str)
def test_imports_go_down(path):
    here = FLOORS.index(room_of(".".join(path.with_suffix("").parts)))
    ours = ("search_spaces", "evaluators", "nas")
    for name in imports(path):
        if name.split(".")[0] in ours and "." in name:
            assert FLOORS.index(room_of(name)) <= here, f"{path} imports {name}"


@pytest.mark.parametrize("path", modules(), ids=str)
def test_ray_and_optuna_are_adapters_at_the_edge(path):
    room = room_of(".".join(path.with_suffix("").parts))
    for name in imports(path):
        allowed = OWNERS.get(name.split(".")[0])
        assert allowed is None or room in allowed, f"{path} imports {name}"
