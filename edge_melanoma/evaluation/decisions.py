"""What a model decides on each of several files: the rows of `predict`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge_melanoma.data.faults import UNLIKE
from edge_melanoma.data.image_files import IMAGE_SUFFIXES, names_a_picture
from edge_melanoma.data.images import UnreadableImageError
from edge_melanoma.errors import EdgeMelanomaError, printable
from edge_melanoma.evaluation import drift
from edge_melanoma.evaluation.predictions import explain_equal
from edge_melanoma.evaluation.promises import decide
from edge_melanoma.evaluation.reliability import TemperatureScaling
from edge_melanoma.evaluation.subject import Subject
from edge_melanoma.machine.terminal import Reporter
from edge_melanoma.runtime.interpreters import Answer

NOT_JUDGED = "not judged"
"""The decision on a picture that is refused: it has no score either."""


def predict_files(
    subject: Subject, files: Sequence[Path], *, reporter: Reporter, counts: Path | None = None
) -> list[dict[str, Any]]:
    """The content of `predict --json`: a row for each file that has the name of a picture.

    Of one that cannot be read, the row has the reason as `error`. A model that states no threshold
    decides nothing. What the pictures measure is added to the file `counts`, if one is given.

    Raises:
        EdgeMelanomaError: no such file, or none that can be read; or counts of another model.
    """
    named = _without_skipped(files, reporter)
    if counts is not None:
        drift.refuse_uncounted(counts, subject.counts, pictures=len(named))
    answers = subject.answer(named)
    bad = [answer for answer in answers if isinstance(answer, UnreadableImageError)]
    if len(bad) == len(answers):
        raise bad[0]
    given = [answer.score for answer in answers if not isinstance(answer, UnreadableImageError)]
    for note in (*subject.notes_on_input(), *explain_equal(given)):
        reporter.say(note)
    if subject.stated_by is None:
        reporter.say(
            f"{subject.name} states no threshold: its scores are shown without a decision; give "
            f"one with --threshold, or export the model again."
        )
    if subject.model.manifest.get("gate") is None:
        reporter.say(f"{subject.name} has no gate: whatever a picture shows, it is judged.")
    if counts is not None:
        read = [one for one in answers if not isinstance(one, UnreadableImageError)]
        reporter.say(drift.count_answers(counts, subject.counts, read))
    return [_row_of(subject, file, answer) for file, answer in zip(named, answers, strict=True)]


def _without_skipped(files: Sequence[Path], reporter: Reporter) -> list[Path]:
    named = [file for file in files if names_a_picture(file)]
    for file in files:
        if file not in named:
            reporter.say(f"Skipped {printable(str(file))}: its name is not that of a picture")
    if not named:
        raise EdgeMelanomaError(
            f"No file has the name of a picture; expected one that is not hidden and ends in "
            f"{', '.join(sorted(IMAGE_SUFFIXES))}."
        )
    return named


def _row_of(subject: Subject, file: Path, answer: Answer | UnreadableImageError) -> dict[str, Any]:
    if isinstance(answer, UnreadableImageError):
        return {"file": str(file), "error": str(answer)}
    point = subject.model.manifest.get("operating_point") or {}
    decision, promise = _decide(subject, answer), subject.promise
    return {
        "file": str(file),
        "p_malignant": None if decision == NOT_JUDGED else answer.score,
        "decision": decision,
        "threshold": subject.threshold if subject.stated_by else None,
        "threshold_source": subject.stated_by,
        "threshold_integer": None if subject.stated_by == "option" else point.get("integer"),
        **({"upper": promise["upper"]} if promise else {}),
        "model": subject.name,
        "output_integer": None if decision == NOT_JUDGED else answer.integer,
        "gate": _describe_gate(answer),
        **({} if decision == NOT_JUDGED else _corrected(subject, answer.score)),
    }


def _decide(subject: Subject, answer: Answer) -> str | None:
    if answer.placed is not None and not answer.placed.in_domain:
        return NOT_JUDGED
    if subject.stated_by is None:
        return None
    promise = subject.promise
    upper = promise["upper"]["threshold"] if promise else subject.threshold
    return decide(answer.score, lower=subject.threshold, upper=upper)


def _describe_gate(answer: Answer) -> dict[str, Any] | None:
    """The block `gate` of a row; a picture that is refused always has a reason."""
    placed = answer.placed
    if placed is None:
        return None
    refused = () if placed.in_domain else (UNLIKE,)
    return placed.as_dict() | {"reasons": [*refused, *answer.faults]}


def _corrected(subject: Subject, score: float) -> dict[str, float]:
    """What a score means in the clinic that a file was commissioned for."""
    stated = (subject.model.manifest.get("operating_point") or {}).get("correction")
    if stated is None:
        return {}
    numbers = {name: float(stated[name]) for name in ("temperature", "offset")}
    scaled = TemperatureScaling(**numbers).apply(np.array([score]))
    return {"p_corrected": float(scaled[0])}
