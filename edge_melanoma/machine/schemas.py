"""JSON and TOML that people exchange, held against a schema: a mistake is one sentence.

A kind of file is a `TypedDict` of what is read out of it, beside the types that it is about; fields
that it does not name are kept and never looked at. Its annotations say what a value may be.
"""

import json
import math
import tomllib
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypedDict

import msgspec
from msgspec import Meta

from edge_melanoma.errors import EdgeMelanomaError, printable

SCHEMA = 1
"""Of every file that is written; one of a later version is not guessed at."""

LARGEST_BYTES = 8 * 2**20
"""Of a manifest. What lists pictures may have more."""
LARGEST_LIST_BYTES = 256 * 2**20
"""A million pictures with id and hash."""
DEEPEST = 40
"""Objects and lists in one another; what is written here has eight."""

Share = Annotated[float, Meta(ge=0, le=1)]
Number = Annotated[float, Meta(ge=-(2.0**63), le=2.0**63)]
Count = Annotated[int, Meta(ge=0, lt=2**53)]
Integer = Annotated[int, Meta(ge=-(2**31), lt=2**31)]
Text = Annotated[str, Meta(min_length=1, max_length=10_000)]

_HASH = r"^[0-9a-f]{64}\Z"
_NAME = r"^(?!\.)[^/\\\x00-\x1f\x7f]{1,150}\Z"
_INSIDE = r"^(?!/)(?!(.*/)?\.\.?(/|\Z))[^\\\x00-\x1f\x7f]{1,1000}\Z"
PATTERNS = {
    _HASH: "64 hexadecimal digits",
    _NAME: "a name of at most 150 letters without a slash",
    _INSIDE: "the place of a file within the folder",
}
"""What a value that does not match was to be."""

Sha256 = Annotated[str, Meta(pattern=_HASH)]
Name = Annotated[str, Meta(pattern=_NAME)]
"""Of what becomes part of a file's name."""
Inside = Annotated[str, Meta(pattern=_INSIDE)]
"""The place of a file within the folder of the one that names it."""


class Recorded(TypedDict):
    """The hash of a file."""

    sha256: Sha256


class MissingFieldError(EdgeMelanomaError):
    """A field that is read and that the file does not have, though its schema allows that.

    No KeyError: Jinja makes an error of its own of that, which names no file.
    """


class Told(dict[str, Any]):
    """An object out of a file of this name, of which a missing field is a sentence."""

    file = ""

    def __missing__(self, field: str) -> Any:
        raise MissingFieldError(
            f"{self.file} cannot be used: it has no field {printable(str(field))} where one is "
            f"read; restore the file, or make it again."
        )

    def __or__(self, more: dict[str, Any]) -> "Told":  # type: ignore[override]
        told = Told({**self, **more})
        told.file = self.file
        return told


def read_json(
    path: Path, kind: Any = dict[str, Any], *, most: int = LARGEST_BYTES
) -> dict[str, Any]:
    """A JSON object of a kind from disk, of at most so many bytes.

    Raises:
        EdgeMelanomaError: no such file, too large, no JSON, of a newer version, or a field that is
            missing or of another kind; the sentence names both.
    """
    return parse_json(read_bounded(path, most=most), kind, name=str(path))


def parse_json(data: bytes, kind: Any, *, name: str) -> dict[str, Any]:
    """The same of bytes; `name` is what the sentence calls them."""
    try:
        content: dict[str, Any] = json.loads(
            data, parse_float=_finite, parse_constant=_finite, object_hook=partial(_told, name)
        )
    except (ValueError, RecursionError) as error:
        raise EdgeMelanomaError(f"{name} is not a readable JSON file: {error}.") from error
    _refuse_deep(content, name)
    stated = content.get("schema", SCHEMA) if isinstance(content, dict) else SCHEMA
    if isinstance(stated, int) and stated > SCHEMA:
        raise EdgeMelanomaError(
            f"{name} was made by a newer version of edge-melanoma (its schema is {stated}, and "
            f"this version reads {SCHEMA}); install that version."
        )
    hold_against(content, kind, name=name, remedy="restore the file, or make it again")
    return content


def hold_against(
    content: Any, kind: Any, *, name: str, remedy: str = "change it in the file"
) -> None:
    """Refuse what is not of a kind.

    Raises:
        EdgeMelanomaError: the sentence names `name` and the field, and ends with the remedy.
    """
    try:
        msgspec.convert(content, type=kind)
    except msgspec.ValidationError as error:
        raise _refusal(name, error, remedy) from error


def _told(file: str, content: dict[str, Any]) -> Told:
    told = Told(content)
    told.file = file
    return told


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no finite number")
    return number


def read_toml(path: Path, *, what: str) -> dict[str, Any]:
    """A TOML file that a person wrote; `what` begins the sentence about one, as in `The contract`.

    Raises:
        EdgeMelanomaError: no such file, too large, or no TOML.
    """
    name = f"{what} {path}"
    try:
        return tomllib.loads(read_bounded(path, what=name).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise EdgeMelanomaError(f"{name} is not a readable TOML file: {error}.") from error


def read_bounded(path: Path, *, most: int = LARGEST_BYTES, what: str | None = None) -> bytes:
    """The bytes of a plain file that somebody else may have made.

    Raises:
        EdgeMelanomaError: no such file, a pipe or a device, or more than `most` bytes.
    """
    what = what or str(path)
    try:
        if path.exists() and not path.is_file():
            raise EdgeMelanomaError(f"{what} is no file, but a folder, a pipe or a device.")
        with path.open("rb") as stream:
            data = stream.read(most + 1)
    except OSError as error:
        raise EdgeMelanomaError(f"{what} cannot be read: {error.strerror}.") from error
    if len(data) > most:
        raise EdgeMelanomaError(
            f"{what} has more than {most} bytes, far more than such a file has; restore it."
        )
    return data


def _refusal(name: str, error: msgspec.ValidationError, remedy: str) -> EdgeMelanomaError:
    """`Expected `float`, got `str` - at `$.operating_point.threshold`` in a sentence."""
    reason, _, place = str(error).partition(" - at ")
    for pattern, words in PATTERNS.items():
        reason = reason.replace(f"`str` matching regex {pattern!r}", words)
    reason = printable(reason[:1].lower() + reason[1:]).replace("`", "")
    field = place.replace("`", "").replace("key in ", "a key of ").replace("$.", "")
    field = field.replace("$", "the top") or "the top"
    return EdgeMelanomaError(f"{name} cannot be used: at {field}, {reason}; {remedy}.")


def _refuse_deep(content: Any, name: str) -> None:
    level = [content]
    for _ in range(DEEPEST):
        values = [one.values() if isinstance(one, dict) else one for one in level]
        level = [one for found in values for one in found if isinstance(one, dict | list)]
        if not level:
            return
    raise EdgeMelanomaError(
        f"{name} has more than {DEEPEST} objects in one another; restore the file, or make it "
        f"again."
    )
