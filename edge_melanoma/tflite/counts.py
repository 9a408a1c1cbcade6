"""What an app may keep of its pictures: how many fell into which bin, and nothing of any one.

A picture adds one to a bin of each measure, all of them whole numbers that every client gets alike.
A file of counts grows by 20 pictures at least, so that no two states of it tell of one picture.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypedDict

from msgspec import Meta

from edge_melanoma.data.faults import Measures
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import sha256_of, write_json
from edge_melanoma.machine.schemas import Count, Integer, Sha256, Text, read_json
from edge_melanoma.tflite.gate import Placed

BINS = 10
LEAST_ADDED = 20
"""Judged pictures that a file of counts grows by at once."""

LEAST_COUNTED = 200
"""Validation pictures from which they, and those of a clinic, are a group to compare with."""

Bins = Annotated[list[Count], Meta(min_length=BINS, max_length=BINS)]
Row = Annotated[list[Annotated[int, Meta(ge=-1000, le=1000)]], Meta(min_length=7, max_length=7)]
Correlations = Annotated[list[Row], Meta(min_length=7, max_length=7)]
Edges = Annotated[list[Integer], Meta(min_length=BINS - 1, max_length=BINS - 1)]


class Histograms(TypedDict):
    """A number of pictures a bin: of the gate those that it refused too, else those judged."""

    gate: Bins
    """Squared distance in 1000ths of the limit."""
    score: Bins
    """In 256ths, as an int8 file has it."""
    red: Bins
    blue: Bins
    colour: Bins
    light: Bins
    detail: Bins
    """As `Measures` has them."""


class EdgesOf(TypedDict):
    """Each bin but the first begins with one of them."""

    gate: Edges
    score: Edges
    red: Edges
    blue: Edges
    colour: Edges
    light: Edges
    detail: Edges


class CountsGroup(TypedDict):
    """Pictures of validation; `correlations` and `limit` are in 1000ths, see `evaluation.drift`."""

    counts: Histograms
    correlations: Correlations
    limit: Annotated[int, Meta(gt=0, le=10**9)]


class CountsBlock(TypedDict):
    """The block `counts` of a file's manifest and of its model_info.json.

    `reference` names it, `groups` has all pictures of validation and those of each clinic.
    """

    reference: Sha256
    edges: EdgesOf
    groups: Annotated[dict[Text, CountsGroup], Meta(min_length=1, max_length=100)]


class CountsFile(TypedDict):
    """What an app writes; `reference` is that of the model that scored the pictures."""

    reference: Sha256
    pictures: Count
    counts: Histograms


Values = Mapping[str, int]

MEASURES = tuple(Histograms.__annotations__)
OF_PIXELS = MEASURES[2:]


def values_of(score: float, placed: Placed, measures: Measures) -> Values:
    """A picture's whole numbers; of one that is not judged its distance alone."""
    distance = {"gate": int(placed.distance * 1000 / placed.limit)}
    if not placed.in_domain:
        return distance
    told = {name: int(getattr(measures, name)) for name in OF_PIXELS}
    return {**distance, "score": int(score * 256), **told}


def bins_of(values: Values, edges: Mapping[str, list[int]]) -> dict[str, int]:
    """The number of the bin of each value."""
    return {name: bisect_right(edges[name], value) for name, value in values.items()}


def count_pictures(
    pictures: Iterable[Values], edges: Mapping[str, list[int]]
) -> dict[str, list[int]]:
    """Histograms of pictures by their values."""
    counts = {name: [0] * BINS for name in MEASURES}
    for values in pictures:
        for name, place in bins_of(values, edges).items():
            counts[name][place] += 1
    return counts


def name_of(edges: Mapping[str, list[int]]) -> str:
    """The `reference` of counts by these edges, which no other model has."""
    return sha256_of(repr(sorted(edges.items())).encode())


def read_counts(path: Path, block: Mapping[str, Any]) -> dict[str, Any]:
    """A file of counts of the model that has `block`.

    Raises:
        EdgeMelanomaError: no such file, of another model, or numbers that do not add up.
    """
    told = read_json(path, CountsFile)
    if told["reference"] != block["reference"]:
        raise EdgeMelanomaError(
            f"{path} holds counts of another model, whose bins are others; give the model that "
            f"scored the pictures, or start a new file."
        )
    judged = {sum(told["counts"][name]) for name in MEASURES[1:]}
    pictures = sum(told["counts"]["gate"])
    if told["pictures"] != pictures or len(judged) != 1 or max(judged) > pictures:
        raise EdgeMelanomaError(
            f"{path} cannot be used: its bins do not add up to its number of pictures, "
            f"{told['pictures']}; start a new file."
        )
    return told


def add_counts(path: Path, block: Mapping[str, Any], pictures: Sequence[Values]) -> bool:
    """Add pictures to a file of counts, which is made if need be; false where they are too few.

    Raises:
        EdgeMelanomaError: as `read_counts`.
    """
    if sum("score" in values for values in pictures) < LEAST_ADDED:
        return False
    counts = count_pictures(pictures, block["edges"])
    if path.exists():
        before = read_counts(path, block)["counts"]
        counts = {
            name: [a + b for a, b in zip(before[name], bins, strict=True)]
            for name, bins in counts.items()
        }
    told = {"schema": 1, "reference": block["reference"], "pictures": sum(counts["gate"])}
    write_json(path, {**told, "counts": counts})
    return True
