"""A file from somebody else that is not as it should be is one sentence with file and field."""

import os
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import pytest
from jinja2 import Environment, StrictUndefined

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.schemas import (
    DEEPEST,
    Count,
    Inside,
    Name,
    Share,
    parse_json,
    read_json,
    read_toml,
)


class Inner(TypedDict):
    share: Share


class Kind(TypedDict):
    count: Count
    name: NotRequired[Name]
    files: NotRequired[dict[Inside, Inner]]


def refusal(text: str | bytes) -> str:
    data = text.encode() if isinstance(text, str) else text
    with pytest.raises(EdgeMelanomaError) as caught:
        parse_json(data, Kind, name="a.json")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{}", "at the top, object missing required field count"),
        ("[]", "at the top, expected object, got array"),
        ('{"count": "1"}', "at count, expected int, got str"),
        ('{"count": true}', "at count, expected int, got bool"),
        ('{"count": -1}', "at count, expected int >= 0"),
        ('{"count": 1, "files": {"a": {"share": 1.5}}}', "at files[...].share, expected float <="),
        ('{"count": 1, "files": {"a": 3}}', "at files[...], expected object, got int"),
        (
            '{"count": 1, "files": {"../a": {"share": 1}}}',
            "at a key of files, expected the place of",
        ),
        ('{"count": 1, "files": {"/etc/a": {"share": 1}}}', "expected the place of a file"),
        ('{"count": 1, "name": "a/b"}', "at name, expected a name of"),
        (
            '{"count": 1, "name": "' + "x" * 300 + '"}',
            "at name, expected a name of",
        ),
    ],
)
def test_the_field_that_is_wrong_is_named(text: str, sentence: str) -> None:
    told = refusal(text)
    assert told.startswith("a.json cannot be used: ")
    assert sentence in told
    assert "\n" not in told


@pytest.mark.parametrize("place", ["a", "a/b.png", "a..b", "exports/model_int8.tflite", "ä/ö"])
def test_places_inside_are_taken(place: str) -> None:
    parse_json(f'{{"count": 1, "files": {{"{place}": {{"share": 0}}}}}}'.encode(), Kind, name="a")


@pytest.mark.parametrize("place", ["", ".", "..", "a/..", "a/../b", "./a", "a\\\\b", "a\\nb", "/a"])
def test_places_elsewhere_are_refused(place: str) -> None:
    text = f'{{"count": 1, "files": {{"{place}": {{"share": 0}}}}}}'
    assert "at a key of files, expected the place of" in refusal(text)


@pytest.mark.parametrize("text", ["", "{", "\xff", '{"count": NaN}', '{"count": 1e999}', "\x00"])
def test_what_is_no_json_is_told(text: str) -> None:
    assert "a.json" in refusal(text.encode("latin-1"))


def test_a_newer_schema_is_not_guessed_at() -> None:
    assert refusal('{"schema": 99, "other": 1}') == (
        "a.json was made by a newer version of edge-melanoma (its schema is 99, and this version "
        "reads 1); install that version."
    )


def test_nesting_has_a_limit() -> None:
    nested = "[" * DEEPEST + "]" * DEEPEST
    assert "in one another" in refusal(f'{{"count": 1, "other": {nested}}}')
    assert "a.json" in refusal('{"count": 1, "other": ' + "[" * 100_000 + "]" * 100_000 + "}")


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    with path.open("wb") as stream:
        stream.truncate(3 * 2**30)
    with pytest.raises(EdgeMelanomaError, match="has more than 8388608 bytes"):
        read_json(path, Kind)
    with pytest.raises(EdgeMelanomaError, match="has more than 8388608 bytes"):
        read_toml(path, what="The contract")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    os.mkfifo(path)
    with pytest.raises(EdgeMelanomaError, match="is no file, but a folder, a pipe or a device"):
        read_json(path, Kind)


def test_fields_that_no_schema_names_are_kept() -> None:
    content: dict[str, Any] = parse_json(b'{"count": 1, "own": {"x": [1.5]}}', Kind, name="a")
    assert content == {"count": 1, "own": {"x": [1.5]}}


def test_a_field_that_is_read_and_not_there_is_a_sentence_and_other_lookups_are_our_own() -> None:
    told = parse_json(b'{"count": 1, "files": {"a": {"share": 0.5}}}', Kind, name="x.json")
    with pytest.raises(EdgeMelanomaError) as caught:
        told["files"]["a"]["other"]
    assert str(caught.value) == (
        "x.json cannot be used: it has no field other where one is read; restore the file, or make "
        "it again."
    )
    assert told == {"count": 1, "files": {"a": {"share": 0.5}}}
    with pytest.raises(EdgeMelanomaError, match="has no field other"):
        (told["files"] | {"b": 1})["other"]
    template = Environment(undefined=StrictUndefined).from_string("{{ told.files.a.other }}")
    with pytest.raises(EdgeMelanomaError, match="has no field other"):
        template.render(told=told)
