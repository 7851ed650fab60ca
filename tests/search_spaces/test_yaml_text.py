import os

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.errors import InputError
from search_spaces.yaml_text import MAX_BYTES, parse_yaml, read_text, read_yaml

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8"), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(codec="utf-8"), max_size=8), inner, max_size=4
        )
    ),
    max_leaves=20,
)


@given(PLAIN)
def test_what_is_written_is_read_back(data):
    assert parse_yaml(yaml.safe_dump(data)) == data


@given(st.text(max_size=200))
def test_any_text_is_data_or_an_input_error(text):
    try:
        parse_yaml(text)
    except InputError as error:
        assert "\n" not in str(error)


def bomb(levels):
    """Each line stands for ten of the line before: 10**levels values."""
    lines = ["a0: &a0 x"]
    for level in range(1, levels + 1):
        aliases = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} [{aliases}]")
    return "\n".join(lines)


def test_aliases_are_allowed_within_reason():
    data = parse_yaml(bomb(3) + "\nshort: *a1\nmerged: {<<: {b: 1}, c: 2}")
    assert data["short"] == ["x"] * 10
    assert data["merged"] == {"b": 1, "c": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (bomb(9), "up to 64 levels and 1000000 values, aliases expanded; .* line 7"),
        ("[" * 100_000, "up to 64 levels"),
        ("- " * 100_000, "up to 64 levels"),
        ('{"":' * 100_000, "up to 64 levels"),
        ("&a [*a]", "an alias stands for an earlier, complete value; '[*]a' does not"),
        ("&a {b: &a [*a]}", "does not"),
        ("*a", "does not"),
        ("!!timestamp x", "not YAML as it is read here: could not determine"),
        ("!!binary x", "could not determine a constructor"),
        ("!!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("!!int ''", "does not fit the tag"),
        ("!!bool maybe", "does not fit the tag"),
        ("!!float x", "does not fit the tag"),
        ("a: " + "9" * 5000, r"a number is below 2\*\*63 and has at most 64"),
        ("a: 9223372036854775808", r"a number is below 2\*\*63"),
        ("a: " + "1:" * 50_000 + "1", "has at most 64 characters"),
        ("{1: 2}", "a key is a text, got '1' in line 1"),
        ("a: 1\non: 2", "a key is a text, got 'on' in line 2"),
        ("{[a]: 1}", "a key is a text"),
        ("a: 1\na: 2", "key 'a' stands twice, in line 2"),
        ("a\x1bb", "control characters are not allowed"),
        ("a: b: c", r"not allowed in this context .line 1, column 5"),
        ("\udcff", "text in UTF-8"),
        ("--- a\n--- b", "expected a single document"),
    ],
)
def test_what_is_refused_in_one_short_line(text, message):
    with pytest.raises(InputError, match=message) as caught:
        parse_yaml(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_dates_stay_texts():
    assert parse_yaml("[2026-11-24, 2026-11-24 10:00:00, =]") == [
        "2026-11-24",
        "2026-11-24 10:00:00",
        "=",
    ]


def test_without_libyaml_the_limits_are_the_same(monkeypatch):
    from search_spaces import yaml_text

    class Slow(yaml.SafeLoader):
        yaml_constructors = yaml_text._Loader.yaml_constructors
        yaml_implicit_resolvers = yaml_text._Loader.yaml_implicit_resolvers

    monkeypatch.setattr(yaml_text, "_Loader", Slow)
    assert parse_yaml("a: [1, 2.5, off]") == {"a": [1, 2.5, False]}
    for text in (bomb(9), "[" * 1000, "a: 1\na: 2", "{1: 2}"):
        with pytest.raises(InputError):
            parse_yaml(text)


def test_only_regular_files_of_bounded_size_are_read(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1")  # with a byte order mark
    assert read_yaml(path) == {"a": 1}
    path.write_bytes(b"\xff\xfea")
    with pytest.raises(InputError, match="not text in UTF-8"):
        read_text(path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="a regular file is needed"):
        read_text(tmp_path / "pipe")
    with pytest.raises(InputError, match="No such file"):
        read_text(tmp_path / "none")
    with pytest.raises(InputError, match="null"):
        read_text("a\0b")
    with (tmp_path / "long").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(InputError, match="of at most"):
        read_text(tmp_path / "long")


@pytest.mark.parametrize("text", ["a:\n\tb: 1\n", "a:\n  b: 1\n \tc: 2\n"])
def test_a_tab_is_called_a_tab(text):
    with pytest.raises(InputError, match=r"a tab begins line [23]; use spaces"):
        parse_yaml(text)
