"""From YAML files, presets and ``--set`` to a checked config."""

import copy
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nas.config.completion import completed
from nas.config.search_config import SearchConfig
from nas.config.training import shorter_warmup
from nas.paths_in_study import to_use
from nas.study_path import find_study, study_name
from search_spaces.errors import InputError, did_you_mean, shown
from search_spaces.yaml_text import parse_yaml, read_yaml

PRESETS = Path(__file__).parent.parent / "presets"


def config_from_dict(data: Any, where: str = "the config") -> SearchConfig:
    """Check plain data and turn it into a config.

    A config that names plugins is checked as far as it goes without them:
    :func:`nas.config.with_plugins` imports them and does the rest.

    Args:
        data: A mapping of sections.
        where: How messages name the source.

    Returns:
        The config with all defaults filled in.

    Raises:
        InputError: The first problem, in one line.
    """
    config = recorded_config(data, where)
    if config.plugins:
        return config
    try:
        return completed(config)
    except InputError as error:
        raise error.within(where) from error


def recorded_config(data: Any, where: str) -> SearchConfig:
    """Check keys and values alone: enough for the config that a study has kept.

    Neither torch nor a plugin is imported: a study is read also if its plugin is gone.

    Args:
        data: A mapping of sections.
        where: How messages name the source.

    Returns:
        The config with all defaults filled in.

    Raises:
        InputError: The first problem, in one line.
    """
    if not isinstance(data, Mapping):
        raise InputError(
            f"{where}: a config is a mapping of sections, got {type(data).__name__}"
        )
    try:
        return SearchConfig.model_validate(dict(data))
    except ValidationError as error:
        raise _first_problem(error).within(where) from error


def _first_problem(error: ValidationError) -> InputError:
    # An unknown key explains whatever else is wrong with its section.
    problems = error.errors(include_url=False)
    first = min(problems, key=lambda one: one["type"] != "extra_forbidden")
    path = [str(part) for part in first["loc"]]
    key = ".".join(path)
    if first["type"] == "extra_forbidden":
        model: Any = SearchConfig
        for part in path[:-1]:
            annotation = model.model_fields[part].annotation
            options = getattr(annotation, "__args__", (annotation,))
            model = next(one for one in options if hasattr(one, "model_fields"))
        allowed = ", ".join(model.model_fields)
        hint = did_you_mean(path[-1], model.model_fields)
        return InputError(
            f"unknown key {shown(key)}; allowed here: {allowed}", hint=hint
        )
    if first["type"] == "value_error":
        cause = first["ctx"]["error"]
        return cause if isinstance(cause, InputError) else InputError(str(cause))
    message = str(first["msg"])
    message = message[0].lower() + message[1:]
    return InputError(f"{key}: {message}, got {shown(first['input'])}")


def preset_names() -> list[str]:
    """Names of the presets that ``nas search`` knows."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))


def find_config(source: str | Path) -> Path:
    """The file that a config is read from.

    Args:
        source: Name of a preset, or path of a YAML file or of a study.

    Returns:
        The file.

    Raises:
        InputError: There is no such preset or file.
    """
    if str(source) in preset_names():
        return PRESETS / f"{source}.yaml"
    path = find_study(source)
    if (path / "config.yaml").is_file():
        return path / "config.yaml"
    if not path.is_file():
        raise InputError(
            "a config is a YAML file, a study directory or a preset "
            f"({', '.join(preset_names())}); there is no {shown(str(source))}",
            hint=did_you_mean(source, preset_names()),
        )
    return path


def load_config(
    source: str | Path,
    overrides: Sequence[str] = (),
    out: str | os.PathLike[str] | None = None,
) -> SearchConfig:
    """Read a preset or a YAML file and apply overrides.

    Args:
        source: Name of a preset, or path of a YAML file or of a study.
        overrides: ``key.path=value`` texts; the value is YAML.
        out: Where the user wants the study to be: a study that the file does not name
            is called as that directory, or as the file.

    Returns:
        The config.

    Raises:
        InputError: There is no such preset or file, or its content is not valid.
    """
    return config_from_dict(_settings(source, overrides, out), str(source))


def read_config(
    source: str | Path,
    overrides: Sequence[str] = (),
    out: str | os.PathLike[str] | None = None,
) -> SearchConfig:
    """As :func:`load_config`, but with keys and values checked alone, without torch.

    Args:
        source: Name of a preset, or path of a YAML file or of a study.
        overrides: ``key.path=value`` texts; the value is YAML.
        out: As for :func:`load_config`.

    Returns:
        The config, not yet fit for a search.

    Raises:
        InputError: There is no such preset or file, or its content is not valid.
    """
    return recorded_config(_settings(source, overrides, out), str(source))


def _settings(
    source: str | Path,
    overrides: Sequence[str],
    out: str | os.PathLike[str] | None,
) -> dict[str, Any]:
    path = find_config(source)
    try:
        data = read_yaml(path)
    except InputError as error:
        raise InputError(f"{source}: a config must be YAML: {error}") from error
    if data is None:
        raise InputError(
            f"{source}: a config is a mapping of sections, and this file is empty",
            hint="nas init DIR writes one for a directory of images",
        )
    if not isinstance(data, dict):
        raise InputError(
            f"{source}: a config is a mapping of sections, got {type(data).__name__}"
        )
    if data.pop("study", None) is not None:  # the header of a study's own config
        data = to_use(data, path.parent)
        if out is not None:  # it is not the name of the study that is made of it
            data.pop("name", None)
    if "name" not in data:
        called = "" if out is None else study_name(out)
        called = called or study_name(path.with_suffix(""))
        data = {"name": called, **data} if called else data
    changed = with_changes(data, overrides)
    before, after = data.get("training"), changed.get("training")
    if isinstance(before, dict) and isinstance(after, dict):
        changed["training"] = shorter_warmup(before, after)
    return changed


def with_changes(data: Mapping[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """Settings as plain data with some of them changed.

    Args:
        data: A mapping of sections.
        changes: ``key.path=value`` texts; the value is YAML.

    Returns:
        A copy.

    Raises:
        InputError: A change is not of that form, or its key has no keys of its own.
    """
    changed = copy.deepcopy(dict(data))
    for change in changes:
        _apply(changed, change)
    return changed


def _apply(data: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise InputError(
            "a change is key.path=value, e.g. training.epochs=3; "
            f"got {shown(override)}",
            hint="--set key.path=value",
        )
    try:
        value = parse_yaml(text)
    except InputError as error:
        raise InputError(
            f"change of {key}: the value must be YAML, got {shown(text)}: {error}"
        ) from error
    *parents, last = key.split(".")
    here = data
    for parent in parents:
        below = here.setdefault(parent, {})
        if below is None:
            below = here[parent] = {}
        if not isinstance(below, dict):
            raise InputError(f"change of {key}: {parent!r} has no keys of its own")
        here = below
    here[last] = value
