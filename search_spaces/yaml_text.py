"""The one way in which this project reads YAML: plain data, within limits.

The text may come from a stranger. So there are only mappings with text keys, lists,
texts, numbers, booleans and null (a date stays a text, as in YAML 1.2), and a text that
would expand, nest or run without end is refused before anything is built from it.
"""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from search_spaces.errors import InputError, one_line, shown

MAX_BYTES = 32 * 2**20
"""Longest text; our choice, because a study whose 10,000 architectures are given one by
one takes 4 MB."""

MAX_DEPTH = 64
"""Deepest nesting; our choice. libyaml's own recursion ends the process at about 20,000
levels; our files have eight."""

MAX_VALUES = 1_000_000
"""Most values after aliases are expanded; our choice, four times what 10,000 given
architectures have. Five lines of aliases of aliases can stand for 10**9 values."""

MAX_INTEGER = 2**63
"""Whole numbers are smaller than this: what a column of a table can hold."""

MAX_NUMBER_LENGTH = 64
"""Characters of a number: the time of a conversion grows with their square."""

_TAG = "tag:yaml.org,2002:"
_MERGE, _TEXT = f"{_TAG}merge", f"{_TAG}str"
_KNOWN = {f"{_TAG}{name}" for name in ("null", "bool", "int", "float", "str")} | {
    f"{_TAG}{name}" for name in ("seq", "map")
}
_NOT_RESOLVED = {f"{_TAG}timestamp", f"{_TAG}value"}

_Parser: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is 10x as fast


class _Loader(_Parser):  # type: ignore[misc]
    """PyYAML's safe loader without dates, sets, binaries and unbounded numbers."""

    yaml_constructors = {
        tag: make
        for tag, make in yaml.SafeLoader.yaml_constructors.items()
        if tag in _KNOWN or tag is None
    }
    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in found if tag not in _NOT_RESOLVED]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _number(convert: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def construct(loader: Any, node: Any) -> Any:
        number = None
        if len(str(node.value)) <= MAX_NUMBER_LENGTH:
            number = convert(loader, node)
        if number is None or isinstance(number, int) and abs(number) >= MAX_INTEGER:
            problem = (
                f"a number is below 2**63 and has at most {MAX_NUMBER_LENGTH} "
                f"characters, got {shown(node.value)}"
            )
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        return number

    return construct


_Loader.add_constructor(f"{_TAG}int", _number(yaml.SafeLoader.construct_yaml_int))
_Loader.add_constructor(f"{_TAG}float", _number(yaml.SafeLoader.construct_yaml_float))


def parse_yaml(text: str) -> Any:
    """Turn YAML into plain data.

    Args:
        text: One document.

    Returns:
        Mappings with text keys, lists, texts, numbers, booleans, ``None``.

    Raises:
        InputError: The text is no such YAML or exceeds a limit of this module.
    """
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise InputError(f"YAML is text in UTF-8, got {shown(text)}") from error
    if size > MAX_BYTES:
        raise InputError(f"YAML of at most {MAX_BYTES} bytes is read, got {size}")
    try:
        _check_events(text)
        loader = _Loader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        problem = _tab(error, text) or _problem(error)
        raise InputError(f"not YAML as it is read here: {problem}") from error
    except (ValueError, LookupError, AttributeError, TypeError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        # PyYAML's converters on a value that does not have the form of its tag.
        raise InputError("a value does not fit the tag (!!...) before it") from error


def read_yaml(path: str | os.PathLike[str]) -> Any:
    """Read a YAML file.

    Args:
        path: A regular file.

    Returns:
        As :func:`parse_yaml`.

    Raises:
        InputError: The file cannot be read, or :func:`parse_yaml` refuses it. The
            message does not name the file: callers say what it should be.
    """
    return parse_yaml(read_text(path))


def read_text(path: str | os.PathLike[str]) -> str:
    """Read a text file of bounded size that is no pipe or device.

    Args:
        path: A regular file.

    Returns:
        Its content.

    Raises:
        InputError: It cannot be read, is longer than :data:`MAX_BYTES`, or not UTF-8.
    """
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):  # a pipe would wait without end
            raise InputError("a regular file is needed")
        if status.st_size > MAX_BYTES:
            raise InputError(
                f"a file of at most {MAX_BYTES} bytes is read, got {status.st_size}"
            )
        with Path(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        return content.decode("utf-8-sig")
    except OSError as error:
        raise InputError(error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise InputError(f"the file is not text in UTF-8: {error.reason}") from error
    except InputError:
        raise
    except ValueError as error:  # a NUL in the path
        raise InputError(str(error)) from error


def _check_events(text: str) -> None:
    """Walk through the text without building anything.

    Refuses too deep nesting, aliases that stand for too many values or for themselves,
    and keys that are no text or stand twice.
    """
    loader = _Loader(text)
    try:
        sizes: dict[str, int] = {}  # of each anchor's value, aliases expanded
        opened: list[_Collection] = []
        total = 0
        while loader.check_event():
            event: Any = loader.get_event()
            if isinstance(event, yaml.CollectionEndEvent):
                closed = opened.pop()
                _note(sizes, closed.anchor, total - closed.before)
                continue
            if not isinstance(event, yaml.NodeEvent):
                continue
            if opened and opened[-1].keys is not None:
                opened[-1].check(loader, event)
            before = total
            total += 1
            anchor: Any = event.anchor
            if isinstance(event, yaml.AliasEvent):
                if anchor not in sizes:
                    raise InputError(
                        f"an alias stands for an earlier, complete value; "
                        f"{shown('*' + anchor)} does not "
                        f"(line {_line(event)})"
                    )
                total += sizes[anchor]
            elif isinstance(event, yaml.CollectionStartEvent):
                is_mapping = isinstance(event, yaml.MappingStartEvent)
                sizes.pop(anchor, None)
                opened.append(
                    _Collection(anchor, before, set() if is_mapping else None)
                )
            else:
                _note(sizes, anchor, 1)
            if len(opened) > MAX_DEPTH or total > MAX_VALUES:
                raise InputError(
                    f"YAML is read up to {MAX_DEPTH} levels and {MAX_VALUES} values, "
                    f"aliases expanded; exceeded in line {_line(event)}"
                )
    finally:
        loader.dispose()


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _note(sizes: dict[str, int], anchor: str | None, size: int) -> None:
    if anchor is not None:
        sizes[anchor] = size


class _Collection:
    """A list or mapping that is being walked through.

    Args:
        anchor: Its anchor.
        before: Values before it.
        keys: Keys seen so far; ``None`` for a list.
    """

    def __init__(self, anchor: str | None, before: int, keys: set[str] | None) -> None:
        self.anchor, self.before, self.keys = anchor, before, keys
        self.is_key = True

    def check(self, loader: Any, event: Any) -> None:
        """Check every second child of a mapping: its keys."""
        is_key, self.is_key = self.is_key, not self.is_key
        if not is_key or self.keys is None:
            return
        line = _line(event)
        tag = None
        if isinstance(event, yaml.ScalarEvent):
            tag = event.tag or loader.resolve(
                yaml.ScalarNode, event.value, event.implicit
            )
        if not isinstance(event, yaml.ScalarEvent) or tag not in (_TEXT, _MERGE):
            got = shown(event.value) if isinstance(event, yaml.ScalarEvent) else "other"
            raise InputError(
                f"a key is a text, got {got} in line {line} (quotes make it one)"
            )
        if tag == _TEXT and event.value in self.keys:
            raise InputError(f"key {shown(event.value)} stands twice, in line {line}")
        self.keys.add(event.value)


def _tab(error: yaml.YAMLError, text: str) -> str:
    """What is wrong, if it is the tab with which a line begins; else nothing."""
    mark = getattr(error, "problem_mark", None)
    lines = text.splitlines()
    if mark is None or mark.line >= len(lines):
        return ""
    line = lines[mark.line]
    indent = line[: len(line) - len(line.lstrip())]
    return f"a tab begins line {mark.line + 1}; use spaces" if "\t" in indent else ""


def _problem(error: yaml.YAMLError) -> str:
    """What is wrong and in which line, without PyYAML's drawing of the place."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return one_line(error, 200)
    said = ", ".join(part for part in (error.context, error.problem) if part)
    mark = error.problem_mark or error.context_mark
    place = "" if mark is None else f" (line {mark.line + 1}, column {mark.column + 1})"
    return " ".join(said.split())[:200] + place
