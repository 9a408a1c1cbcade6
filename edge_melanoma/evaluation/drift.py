"""Whether an app still sees what its model was chosen on: its counts against those of validation.

Each measure is compared by ranks (Mann and Whitney, 1947): how often a picture of the app has more
of it than one of validation, a half where nothing changed. All together, with how measures go
together in validation, make one distance (Hotelling, 1931), which is held against what chance
allows a group of the reference: all pictures, or one clinic's. The app may be like any one of them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.metrics import BOOTSTRAP_SEED
from edge_melanoma.evaluation.predictions import Origin
from edge_melanoma.runs.folders import refuse_unwritable
from edge_melanoma.runtime.interpreters import Answer
from edge_melanoma.tflite import counts
from edge_melanoma.tflite.counts import BINS, LEAST_COUNTED, MEASURES, Values, bins_of, name_of

ALL = "all clinics"
LEAST_COMPARED = 100
"""Pictures of an app below which only the coarsest change shows."""

DRAWN, DRAWS, PERCENTILE = 200, 2000, 99.9
"""Pictures drawn from validation by whole lesions, how often, and what of chance is let pass."""

SMALLEST = 0.05
"""Of the distance from a half: less is no matter, however many pictures show it."""

TOLD_ERRORS = 3.0
"""From which on a measure is named; the farthest always is."""

Numbers = NDArray[np.float64]
Places = NDArray[np.intp]


def values_of(answers: Sequence[Answer]) -> list[Values]:
    """The whole numbers of pictures, of a model with a gate."""
    return [
        counts.values_of(answer.score, answer.placed, answer.measures)
        for answer in answers
        if answer.placed is not None and answer.measures is not None
    ]


def refuse_uncounted(path: Path, block: Mapping[str, Any], *, pictures: int) -> None:
    """Before any work: what cannot be added to a file of counts.

    Raises:
        EdgeMelanomaError: fewer pictures than a file grows by, or one of another model.
    """
    refuse_unwritable(path)
    if pictures < counts.LEAST_ADDED:
        raise EdgeMelanomaError(
            f"--counts {path} grows by {counts.LEAST_ADDED} pictures at least, so that it tells of "
            f"no single one, and {pictures} are given; give more, or leave it out."
        )
    if path.exists():
        counts.read_counts(path, block)


def count_answers(path: Path, block: Mapping[str, Any], answers: Sequence[Answer]) -> str:
    """Add pictures to a file of counts; what became of it, in a sentence."""
    if counts.add_counts(path, block, values_of(answers)):
        return f"Counted {len(answers)} pictures into {path}."
    return (
        f"Fewer than {counts.LEAST_ADDED} pictures were judged, which would tell of single ones: "
        f"nothing was counted."
    )


def make_reference(pictures: Sequence[Values], origins: Sequence[Origin]) -> dict[str, Any] | None:
    """The block `counts` of validation pictures by their values; none where these are too few.

    Bins are tenths of the judged pictures. Pictures of one lesion are alike, so that counts spread
    more than counts of single pictures would: the limit is taken from draws of whole lesions, each
    held against the half of the lesions that it is not drawn from.
    """
    judged = [values for values in pictures if "score" in values]
    if len(judged) < LEAST_COUNTED:
        return None
    tenths = np.arange(1, BINS) / BINS
    edges = {
        name: [int(edge) for edge in np.quantile([one[name] for one in judged], tenths)]
        for name in MEASURES
    }
    numbers = np.unique([origin.lesion for origin in origins], return_inverse=True)[1]
    named = np.array([origin.source for origin in origins])
    members = {ALL: np.ones(len(named), np.bool_)}
    members |= {
        name: named == name
        for name in np.unique(named).tolist()
        if LEAST_COUNTED <= (named == name).sum() < len(named)
    }
    places = np.full((len(pictures), len(MEASURES)), -1)
    for row, values in enumerate(pictures):
        for name, value in bins_of(values, edges).items():
            places[row, MEASURES.index(name)] = value
    groups = {name: _describe_group(places[own], numbers[own]) for name, own in members.items()}
    return {"reference": name_of(edges), "edges": edges, "groups": groups}


def compare_counts(told: Mapping[str, Sequence[int]], block: Mapping[str, Any]) -> dict[str, Any]:
    """What `drift --json` says of an app's counts, which are of the model that has `block`.

    Raises:
        EdgeMelanomaError: fewer than 100 pictures were judged.
    """
    judged = sum(told["score"])
    if judged < LEAST_COMPARED:
        raise EdgeMelanomaError(
            f"The counts are of {judged} judged pictures, too few to tell a change from chance; "
            f"collect {LEAST_COMPARED} or more."
        )
    own = np.array([told[name] for name in MEASURES], np.float64)
    groups = {name: _compare(own, group) for name, group in block["groups"].items()}
    nearest = min(groups, key=lambda name: groups[name]["distance"])
    measures = groups[nearest]["measures"]
    largest = max(abs(one["more"] - 0.5) for one in measures.values())
    is_drift = bool(groups[nearest]["distance"] > 1 and largest >= SMALLEST)
    by_errors = sorted(measures, key=lambda name: -abs(measures[name]["errors"]))
    changed = [by_errors[0], *(name for name in by_errors[1:] if _is_told(measures[name]))]
    return {
        "pictures": sum(told["gate"]),
        "judged": judged,
        "drift": is_drift,
        "nearest": nearest,
        "changed": changed if is_drift else [],
        "groups": groups,
    }


def _is_told(measure: Mapping[str, float]) -> bool:
    return abs(measure["errors"]) > TOLD_ERRORS and abs(measure["more"] - 0.5) >= SMALLEST


def _compare(own: Numbers, group: Mapping[str, Any]) -> dict[str, Any]:
    """`distance` is 1 at the group's limit; `errors` are standard errors from a half."""
    reference = np.array([group["counts"][name] for name in MEASURES], np.float64)
    more, errors = _ranks(own, reference)
    distance = _distance(errors, np.array(group["correlations"]) / 1000)
    return {
        "distance": distance * 1000 / group["limit"],
        "measures": {
            name: {"more": float(more[place]), "errors": float(errors[place])}
            for place, name in enumerate(MEASURES)
        },
    }


def _distance(errors: Numbers, correlations: Numbers) -> float:
    """Of deviations in standard errors; a measure that never varies takes no part."""
    return float(
        np.sqrt(errors @ np.linalg.pinv(correlations, rcond=1e-2, hermitian=True) @ errors)
    )


def _ranks(own: Numbers, reference: Numbers) -> tuple[Numbers, Numbers]:
    """Of histograms (measures, bins): how often own has more, and that in standard errors."""
    sizes, others = own.sum(axis=1), reference.sum(axis=1)
    ranks = _ranks_of(reference)
    more = (own * ranks).sum(axis=1) / sizes
    variances = (reference * (ranks - 0.5) ** 2).sum(axis=1) / others
    errors = np.sqrt(np.maximum(variances, 1e-9) * (1 / sizes + 1 / others))
    return more, (more - 0.5) / errors


def _ranks_of(reference: Numbers) -> Numbers:
    """The rank that a picture of each bin has, 0..1."""
    whole = reference.sum(axis=1, keepdims=True)
    return np.asarray((reference.cumsum(axis=1) - reference / 2) / whole)


def _describe_group(places: Places, lesions: Places) -> dict[str, Any]:
    """What the block has of a group's pictures by their bins (pictures, measures)."""
    histograms = _histograms(places)
    return {
        "counts": dict(zip(MEASURES, histograms.astype(int).tolist(), strict=True)),
        "correlations": np.rint(1000 * _correlations(places)).astype(int).tolist(),
        "limit": int(np.ceil(1000 * _limit_of(places, lesions))),
    }


def _correlations(places: Places) -> Numbers:
    """Of the ranks of judged pictures; 0 of a measure that never varies."""
    ranks = _ranks_of(_histograms(places))
    judged = places[(places >= 0).all(axis=1)]
    values = np.stack([ranks[place][one] for place, one in enumerate(judged.T)])
    values -= values.mean(axis=1, keepdims=True)
    scale = np.sqrt((values**2).mean(axis=1))
    shares = values / np.maximum(scale, 1e-9)[:, np.newaxis]
    return np.asarray(shares @ shares.T / len(judged))


def _limit_of(places: Places, lesions: Places) -> float:
    """What the distance of draws of a group from the other half of it stays below."""
    random, found = np.random.default_rng(BOOTSTRAP_SEED), []
    for _ in range(DRAWS):
        is_kept = (random.permutation(lesions.max() + 1) % 2 == 0)[lesions]
        drawn = places[~is_kept][_draw_lesions(lesions[~is_kept], random)]
        kept = places[is_kept]
        errors = _ranks(_histograms(drawn), _histograms(kept))[1]
        found.append(_distance(errors, _correlations(kept)))
    return float(np.percentile(found, PERCENTILE))


def _draw_lesions(lesions: Places, random: np.random.Generator) -> Places:
    """Numbers of `DRAWN` pictures, of lesions that are drawn whole, with replacement."""
    order = np.argsort(lesions, kind="stable")
    pictures = np.split(order, np.flatnonzero(np.diff(lesions[order])) + 1)
    chosen = random.integers(len(pictures), size=DRAWN)
    return np.concatenate([pictures[number] for number in chosen])[:DRAWN]


def _histograms(places: Places) -> Numbers:
    """Of bins (pictures, measures), -1 where a picture has none: (measures, bins)."""
    return np.stack([np.bincount(one[one >= 0], minlength=BINS) for one in places.T]).astype(float)
