"""Three answers: not flagged, see a doctor anyway, flagged; two thresholds that keep a promise.

Of the melanomas of every clinic at most so many are not flagged, and of its benign lesions at most
so many are flagged, by exact binomial bounds (Clopper and Pearson, 1934). Lesions are counted and
not pictures, which are not independent: a melanoma is missed if one of its pictures is, a benign
lesion flagged if one is.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.clinics import LEAST_JUDGED
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.metrics import (
    BOOTSTRAP_RESAMPLES,
    BOOTSTRAP_SEED,
    wilson_interval,
)
from edge_melanoma.evaluation.predictions import PredictionSet
from edge_melanoma.evaluation.sources import without_carcinomas

ANSWERS = ("not_flagged", "refer", "flagged")
"""From the lowest scores to the highest."""
DECISIONS = ("benign", "refer", "malignant")
"""The same in the words of `predict --json`."""
MOST_LESIONS = 10**9

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What is to be promised: shares of lesions, and how sure it is to be.

    Raises:
        EdgeMelanomaError: one of the numbers is not between 0 and 1.
    """

    max_miss: float
    max_false_alarm: float = 0.1
    confidence: float = 0.95

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not 0 < value < 1:
                raise EdgeMelanomaError(
                    f"--{name.replace('_', '-')} is {value}; expected a number between 0 and 1, "
                    f"such as {0.95 if name == 'confidence' else 0.03}."
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """Not flagged is what scores below `lower`, flagged what reaches `upper`; never below `lower`.

    `clinics` has, by name and class, what `describe_share` tells of a clinic's lesions.
    """

    demand: Demand
    lower: float
    upper: float
    clinics: dict[str, dict[str, Any]]


def upper_bound(wrong: int, lesions: int, *, confidence: float) -> float:
    """The exact one-sided upper bound of a share, of which `wrong` of `lesions` were seen."""
    from scipy.special import betaincinv

    return 1.0 if wrong >= lesions else float(betaincinv(wrong + 1, lesions - wrong, confidence))


def lesions_needed(limit: float, *, confidence: float, wrong: int = 0) -> int:
    """How many lesions, `wrong` of them answered wrongly, show that the share is at most `limit`.

    At most 3 % with 95 % confidence takes 99 without a miss.
    """
    counts = range(wrong + 1, MOST_LESIONS)
    shows = bisect_left(
        counts, True, key=lambda n: upper_bound(wrong, n, confidence=confidence) <= limit
    )
    return counts[shows]


def choose_promise(validation: PredictionSet, demand: Demand) -> Promise:
    """The highest lower threshold and the lowest upper one that keep the demand in every clinic.

    Of a clinic with too few lesions to show it, none is answered wrongly. Clinics with fewer than
    10 lesions of a class are not looked at, but for those without origins, which count as one.
    Both thresholds lie half-way to the neighbouring score.

    Raises:
        EdgeMelanomaError: a class is missing, or benign pictures have the highest score there is.
    """
    groups = dict(_lesions_of(validation))
    melanomas = _judged({name: found[0] for name, found in groups.items()}, "malignant")
    benign = _judged({name: found[1] for name, found in groups.items()}, "benign")
    scores, confidence = np.unique(validation.scores), demand.confidence
    lowest = min(
        np.sort(one)[_most_wrong(len(one), demand.max_miss, confidence)]
        for one in melanomas.values()
    )
    highest = max(
        np.sort(one)[-1 - _most_wrong(len(one), demand.max_false_alarm, confidence)]
        for one in benign.values()
    )
    below, above = scores[scores < lowest], scores[scores > highest]
    if not len(above):
        raise EdgeMelanomaError(
            f"Benign pictures have the highest score of all, {highest:.4f}: no threshold lies "
            f"above it; allow more false alarms with --max-false-alarm."
        )
    lower = float((lowest + below[-1]) / 2 if len(below) else lowest)
    upper = max(lower, float((highest + above[0]) / 2))
    whole = tuple(np.concatenate([found[place] for found in groups.values()]) for place in (0, 1))
    clinics = {
        name: _describe_clinic(*groups.get(name, whole), demand=demand, lower=lower, upper=upper)
        for name in dict.fromkeys([*melanomas, *benign])
    }
    return Promise(demand=demand, lower=lower, upper=upper, clinics=clinics)


def _lesions_of(predictions: PredictionSet) -> Iterator[tuple[str, tuple[Numbers, Numbers]]]:
    """By clinic: each melanoma's lowest score, and each benign lesion's highest."""
    melanomas = without_carcinomas(predictions)
    for name, own in (melanomas.by_source() or {"": melanomas}).items():
        yield name, (_of_lesions(own, True, min), _of_lesions(own, False, max))


def _of_lesions(
    own: PredictionSet, is_malignant: bool, choose: Callable[[list[float]], float]
) -> Numbers:
    """One number a lesion of a class."""
    found = defaultdict(list)
    for place in np.flatnonzero(own.labels == is_malignant):
        lesion = own.origins[place].lesion if own.origins else own.image_ids[place]
        found[lesion].append(float(own.scores[place]))
    return np.array([choose(scores) for scores in found.values()], dtype=np.float64)


def _judged(groups: Mapping[str, Numbers], label: str) -> dict[str, Numbers]:
    """Those with enough lesions; where none has, all of them as one."""
    enough = {name: one for name, one in groups.items() if len(one) >= LEAST_JUDGED}
    if not any(map(len, groups.values())):
        raise EdgeMelanomaError(
            f"There are no {label} pictures to choose on: two thresholds need both classes."
        )
    return enough or {"": np.concatenate(list(groups.values()))}


def _most_wrong(lesions: int, limit: float, confidence: float) -> int:
    """How many may be answered wrongly; none where even that shows nothing."""
    from scipy.special import betaincinv

    wrong = np.arange(lesions)
    return max(0, int(np.sum(betaincinv(wrong + 1, lesions - wrong, confidence) <= limit)) - 1)


def _describe_clinic(
    melanomas: Numbers, benign: Numbers, *, demand: Demand, lower: float, upper: float
) -> dict[str, Any]:
    missed, alarms = int((melanomas < lower).sum()), int((benign >= upper).sum())
    return {
        "melanomas": describe_share(missed, len(melanomas), demand.max_miss, demand.confidence),
        "benign": describe_share(alarms, len(benign), demand.max_false_alarm, demand.confidence),
    }


def describe_share(wrong: int, lesions: int, limit: float, confidence: float) -> dict[str, Any]:
    """What `wrong` of `lesions` promise, and how many more, all answered rightly, are needed."""
    bound = upper_bound(wrong, lesions, confidence=confidence)
    needed = lesions_needed(limit, confidence=confidence, wrong=wrong)
    return {
        "lesions": lesions,
        "wrong": wrong,
        "bound": bound,
        "promised": bound <= limit,
        "more_needed": max(0, needed - lesions),
    }


def describe_promise(told: Mapping[str, Any]) -> str:
    """What two thresholds keep, as manifests have it, part of a sentence."""
    melanomas = {name: one["melanomas"] for name, one in told["clinics"].items()}
    kept = [name for name, one in melanomas.items() if one["promised"] and name]
    few = [
        f"{name or 'this set'} ({one['lesions']}, {one['more_needed']} more needed)"
        for name, one in melanomas.items()
        if not one["promised"]
    ]
    return (
        f"at most {100 * told['max_miss']:g} % of melanomas not flagged and "
        f"{100 * told['max_false_alarm']:g} % of benign lesions flagged, with "
        f"{100 * told['confidence']:g} % confidence"
        + (f" in {', '.join(kept)}" if kept else "")
        + (f"; too few melanomas to promise it in {', '.join(few)}" if few else "")
    )


def answers_of(scores: Numbers, *, lower: float, upper: float) -> NDArray[np.intp]:
    """The place in `ANSWERS` of each score."""
    return np.digitize(scores, (lower, upper))


def decide(score: float, *, lower: float, upper: float) -> str:
    """The answer in the words of `predict --json`; with equal thresholds it is never `refer`."""
    return DECISIONS[int(answers_of(np.array([score]), lower=lower, upper=upper)[0])]


def measure_answers(predictions: PredictionSet, promise: Mapping[str, Any]) -> dict[str, Any]:
    """What `evaluate --json` says of three answers under `decisions`.

    Pictures by class and answer, the share that is answered at all, and by clinic, and over all
    under `pooled`, the shares of melanomas missed and of benign lesions flagged with the share of
    1,000 resamplings of lesions that break the promise. `promise` is that of a manifest, with its
    `lower` threshold.
    """
    lower, upper = promise["lower"]["threshold"], promise["upper"]["threshold"]
    found = answers_of(predictions.scores, lower=lower, upper=upper)
    counts = {
        label: dict(zip(ANSWERS, np.bincount(found[kept], minlength=3).tolist(), strict=True))
        for label, kept in (("malignant", predictions.labels), ("benign", ~predictions.labels))
    }
    answered = int((found != ANSWERS.index("refer")).sum())
    melanomas = without_carcinomas(predictions)
    parts = melanomas.by_source()
    return {
        "lower": promise["lower"],
        "upper": promise["upper"],
        "max_miss": promise["max_miss"],
        "max_false_alarm": promise["max_false_alarm"],
        "answers": counts,
        "answered": answered / len(found),
        "answered_interval": wilson_interval(answered, len(found)),
        "pooled": _check(melanomas, promise),
        "within_source": {name: _check(own, promise) for name, own in parts.items()},
    }


def _check(own: PredictionSet, promise: Mapping[str, Any]) -> dict[str, Any]:
    """Shares wrong by class; of each lesion the share of its pictures."""
    lower, upper = promise["lower"]["threshold"], promise["upper"]["threshold"]
    missed = _of_lesions(own, True, lambda scores: float(np.mean(np.less(scores, lower))))
    alarms = _of_lesions(own, False, lambda scores: float(np.mean(np.greater_equal(scores, upper))))
    return {
        "melanomas": _resample(missed, promise["max_miss"]),
        "benign": _resample(alarms, promise["max_false_alarm"]),
    }


def _resample(wrong: Numbers, limit: float) -> dict[str, Any]:
    lesions = len(wrong)
    if not lesions:
        return {"lesions": 0, "wrong_share": None, "broken": None}
    random = np.random.default_rng(BOOTSTRAP_SEED)
    times = random.multinomial(lesions, np.full(lesions, 1 / lesions), BOOTSTRAP_RESAMPLES)
    broken = float(np.mean(times @ wrong / lesions > limit))
    return {"lesions": lesions, "wrong_share": float(wrong.mean()), "broken": broken}
