"""Scores of a part of a data set, as a file that goes from the machine that made it to another."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_melanoma import __version__
from edge_melanoma.data.images import RESIZE_ID
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.scoring_shard import Shard
from edge_melanoma.data.screening import BadImage, refuse_many_bad
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.predictions import PredictionSet
from edge_melanoma.machine.files import write_json

SCHEMA = 1
LARGEST_PART_BYTES = 2**31


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorePart:
    """What one shard gave, or all shards together.

    `common` is equal in all parts of one whole: models by hash, threshold, data set. `scores` are
    P(malignant) by mode, in the order of `records`, whose paths say nothing. `leaked` are the
    records' ids that have copies in the given training part; of the `listed` pictures of the shard
    those `left_out` are copies of learned ones, and those `bad` cannot be read.
    """

    common: Mapping[str, Any]
    records: tuple[LesionRecord, ...]
    scores: Mapping[str, tuple[float, ...]]
    listed: int
    left_out: tuple[str, ...] = ()
    leaked: tuple[str, ...] = ()
    bad: tuple[BadImage, ...] = ()

    def predictions(self) -> dict[str, PredictionSet]:
        """The scores with ids and labels, by mode."""
        ids = tuple(record.image_id for record in self.records)
        labels = np.array([record.is_malignant for record in self.records], dtype=np.bool_)
        return {
            mode: PredictionSet(
                image_ids=ids, labels=labels, scores=np.array(scores, dtype=np.float64)
            )
            for mode, scores in self.scores.items()
        }


def common_facts(command: str, **facts: Any) -> dict[str, Any]:
    """What all parts of one whole must agree in, this program and its resize among it."""
    return {"command": command, "version": __version__, "resize": RESIZE_ID, **facts}


def write_part(path: Path, part: ScorePart, shard: Shard) -> None:
    """Columns and not rows: a million pictures take some 150 MB."""
    write_json(
        path,
        {
            "schema": SCHEMA,
            "part": {"index": shard.index, "of": shard.of},
            "common": part.common,
            "listed": part.listed,
            "left_out": part.left_out,
            "leaked": part.leaked,
            "bad": [[image.image_id, image.reason] for image in part.bad],
            "image_id": [record.image_id for record in part.records],
            "is_malignant": [int(record.is_malignant) for record in part.records],
            "sha256": [record.sha256 for record in part.records],
            "scores": part.scores,
        },
    )


def merge_parts(paths: Sequence[Path]) -> ScorePart:
    """All parts of one whole, in whatever order they are given, as one.

    Raises:
        EdgeMelanomaError: a file is no part, one is missing or double, parts do not belong
            together, or more than 5 % of the pictures are bad.
    """
    read = [(path, *read_part(path)) for path in paths]
    counts = {shard.of for _, shard, _ in read}
    if len(counts) > 1:
        told = " and of ".join(str(count) for count in sorted(counts))
        raise EdgeMelanomaError(f"The parts are of {told}; give the parts of one whole.")
    found: dict[int, tuple[Path, ScorePart]] = {}
    for path, shard, part in read:
        if shard.index in found:
            raise EdgeMelanomaError(
                f"{found[shard.index][0]} and {path} are both the part {shard}; give each once."
            )
        found[shard.index] = (path, part)
    of = counts.pop()
    if missing := sorted(set(range(1, of + 1)) - found.keys()):
        raise EdgeMelanomaError(
            f"Of {of} parts {len(missing)} are missing, the first of them {missing[0]}/{of}; give "
            f"all."
        )
    ordered = [found[index] for index in sorted(found)]
    for path, part in ordered[1:]:
        _refuse_other_facts(ordered[0], (path, part))
    return _join([part for _, part in ordered])


def read_part(path: Path) -> tuple[Shard, ScorePart]:
    """A file of `write_part`.

    Raises:
        EdgeMelanomaError: it is missing, or no such file.
    """
    if not path.is_file():
        raise EdgeMelanomaError(f"There is no file {path}; expected a part made with --shard.")
    try:
        if path.stat().st_size > LARGEST_PART_BYTES:
            raise ValueError("too large")
        told = json.loads(path.read_text(encoding="utf-8"))
        if told["schema"] != SCHEMA:
            raise ValueError("another schema")
        return Shard(index=int(told["part"]["index"]), of=int(told["part"]["of"])), _part_of(told)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise EdgeMelanomaError(
            f"{path} is not a part that evaluate or bench made with --shard; make it again."
        ) from error


def _part_of(told: dict[str, Any]) -> ScorePart:
    columns = zip(told["image_id"], told["is_malignant"], told["sha256"], strict=True)
    records = tuple(
        LesionRecord(
            image_id=str(image_id),
            path=Path(str(image_id)),
            is_malignant=bool(is_malignant),
            sha256=str(sha256),
        )
        for image_id, is_malignant, sha256 in columns
    )
    part = ScorePart(
        common=dict(told["common"]),
        records=records,
        scores={mode: tuple(map(float, scores)) for mode, scores in told["scores"].items()},
        listed=int(told["listed"]),
        left_out=tuple(map(str, told["left_out"])),
        leaked=tuple(map(str, told["leaked"])),
        bad=tuple(BadImage(image_id=name, reason=reason) for name, reason in told["bad"]),
    )
    part.predictions()
    return part


def _refuse_other_facts(one: tuple[Path, ScorePart], other: tuple[Path, ScorePart]) -> None:
    first, second = one[1].common, other[1].common
    modes = [{"scores": sorted(part.scores)} for _, part in (one, other)]
    first, second = {**first, **modes[0]}, {**second, **modes[1]}
    for name in [*first, *second]:
        if first.get(name) != second.get(name):
            raise EdgeMelanomaError(
                f"{one[0]} and {other[0]} do not belong together: they differ in '{name}'; make "
                f"all parts with one command, of one model and one data set."
            )


def _join(parts: Sequence[ScorePart]) -> ScorePart:
    records = tuple(record for part in parts for record in part.records)
    if len({record.image_id for record in records}) < len(records):
        raise EdgeMelanomaError(
            "A picture stands in two parts: the data set changed between them; make all anew."
        )
    bad, listed = tuple(b for part in parts for b in part.bad), sum(part.listed for part in parts)
    refuse_many_bad(bad, total=listed)
    return ScorePart(
        common=parts[0].common,
        records=records,
        scores={
            mode: tuple(score for part in parts for score in part.scores[mode])
            for mode in parts[0].scores
        },
        listed=listed,
        left_out=tuple(name for part in parts for name in part.left_out),
        leaked=tuple(name for part in parts for name in part.leaked),
        bad=bad,
    )
