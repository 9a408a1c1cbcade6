"""How a .tflite file from elsewhere wants to be fed, and which of its outputs are malignant.

An integer input says its range by scale and zero point, a float one by the metadata of TFLite;
what neither tells, a person has to. Files that were exported here need nothing of this.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from flatbuffers import number_types
from flatbuffers.table import Table
from numpy.typing import NDArray

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.tflite.metadata import METADATA_NAME, entry_of, read_attached_files
from edge_melanoma.tflite.quantization import TensorQuantization, softmax

Range = tuple[float, float]
"""What an input is given for black and for white."""

RANGES: dict[str, Range] = {"0..1": (0.0, 1.0), "-1..1": (-1.0, 1.0), "0..255": (0.0, 255.0)}
"""The ranges that networks are trained with, by the names that options have for them."""

RANGE_TOLERANCE = 0.05
"""Share of a range by which calibration pictures may have missed its ends."""

SUM_TOLERANCE = 0.02
"""Of the probabilities of all classes, beside half a step of the output for each."""

MALIGNANT = "malignant"
SUBGRAPHS, INPUTS, OUTPUTS, UNITS, NORMALIZATION, FILES = 3, 2, 3, 4, 1, 6
"""Places of fields in the tables of metadata_schema.fbs, and the kind of a unit that scales."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """What a person says of a file; `malignant` are numbers of outputs, or their labels."""

    input_range: Range | None = None
    malignant: tuple[str, ...] = ()
    is_logit: bool = False


PLAIN = Ends()
"""Nothing was said."""


def choose_ends(
    input_range: str | None, malignant_index: str | None, is_logit: bool = False
) -> Ends:
    """What options say: a name of `RANGES`, and numbers of outputs or their labels.

    Raises:
        EdgeMelanomaError: a range that is none.
    """
    if input_range is not None and input_range not in RANGES:
        raise EdgeMelanomaError(
            f"--input-range {input_range} is none; expected {', '.join(RANGES)}."
        )
    words = tuple(word.strip() for word in (malignant_index or "").split(",") if word.strip())
    range_ = RANGES[input_range] if input_range else None
    return Ends(input_range=range_, malignant=words, is_logit=is_logit)


def choose_input_range(tensor: TensorQuantization, data: bytes, ends: Ends, *, name: str) -> Range:
    """What the input is given for black and white; 0..1 where a float input tells nothing.

    Raises:
        EdgeMelanomaError: integers of a range that no picture has, or of another than was said.
    """
    if tensor.is_float:
        return ends.input_range or read_normalization(data) or RANGES["0..1"]
    limits = np.iinfo(tensor.dtype)
    low, high = tensor.dequantize(np.array([limits.min, limits.max])).tolist()
    for range_ in RANGES.values():
        slack = RANGE_TOLERANCE * (range_[1] - range_[0])
        if abs(low - range_[0]) <= slack and abs(high - range_[1]) <= slack:
            if ends.input_range not in {None, range_}:
                break
            return range_
    raise EdgeMelanomaError(
        f"{name} has an input for {tensor.dtype} numbers from {low:.4g} to {high:.4g}; expected "
        f"one of the ranges {', '.join(RANGES)}"
        + (", and that of --input-range." if ends.input_range else ".")
    )


def states_input_range(data: bytes, tensor: TensorQuantization) -> bool:
    """Whether a file itself tells what it is to be fed with."""
    return not tensor.is_float or read_normalization(data) is not None


def read_normalization(data: bytes) -> Range | None:
    """Black and white by the metadata's mean and deviation, where these are given for the input.

    Raises:
        EdgeMelanomaError: the metadata is broken, or scales the colours differently.
    """
    try:
        for unit in _below(_root_of(data), SUBGRAPHS, INPUTS, UNITS):
            if _number(unit, 0, number_types.Uint8Flags) == NORMALIZATION:
                options = _child(unit, 1)
                means, deviations = (_floats(options, field) for field in (0, 1))
                break
        else:
            return None
    except Exception as error:
        raise _broken(error) from error
    if len(set(means)) != 1 or len(set(deviations)) != 1 or not deviations[0]:
        raise EdgeMelanomaError(
            f"The model's metadata scales colours by means {means} and deviations {deviations}; "
            f"expected one of each for all colours."
        )
    return (0 - means[0]) / deviations[0], (255 - means[0]) / deviations[0]


def read_labels(data: bytes) -> tuple[str, ...]:
    """The names of the outputs, a line each in the first file of labels; none without one.

    Raises:
        EdgeMelanomaError: the metadata is broken.
    """
    try:
        names = [_text(file, 0) for file in _below(_root_of(data), SUBGRAPHS, OUTPUTS, FILES)]
    except Exception as error:
        raise _broken(error) from error
    text = read_attached_files(data).get(names[0], b"") if names else b""
    return tuple(line.strip() for line in text.decode("utf-8", "replace").splitlines())


def choose_columns(outputs: int, data: bytes, ends: Ends, *, name: str) -> tuple[int, ...]:
    """The malignant ones of several outputs, by their numbers or labels.

    Raises:
        EdgeMelanomaError: it was not said which, or there is no such output.
    """
    labels = read_labels(data)
    lower = [label.lower() for label in labels]
    words = ends.malignant or ((MALIGNANT,) if MALIGNANT in lower else ())
    told = f"{name} has {outputs} outputs" + (f", {', '.join(labels)}" if labels else "")
    if not words:
        raise EdgeMelanomaError(
            f"{told}; say which of them are malignant with --malignant-index N[,N], counted from 0."
        )
    found = {int(word) if word.isdecimal() else _place(lower, word.lower()) for word in words}
    if not found < set(range(outputs)):
        raise EdgeMelanomaError(
            f"{told}; --malignant-index {','.join(words)} is to name some of them, and not all."
        )
    return tuple(sorted(found))


def score_of_classes(
    numbers: NDArray[np.float64], columns: Sequence[int], *, is_logit: bool, step: float
) -> float | None:
    """P(malignant) of the outputs of all classes (n,), or none if these are no probabilities."""
    if is_logit:
        numbers = softmax(numbers)
    tolerance = SUM_TOLERANCE + len(numbers) * step / 2
    if not (np.all(numbers >= -step) and abs(numbers.sum() - 1) <= tolerance):
        return None
    return float(numbers[list(columns)].sum().clip(0.0, 1.0))


def _place(labels: Sequence[str], word: str) -> int:
    return labels.index(word) if word in labels else -1


def _broken(error: Exception) -> EdgeMelanomaError:
    # Flatbuffers raise struct.error, IndexError, TypeError and more on broken bytes.
    return EdgeMelanomaError(f"The metadata of the model cannot be read: {error}.")


def _root_of(data: bytes) -> list[Table]:
    metadata = entry_of(data, METADATA_NAME).tobytes()
    if not metadata:
        return []
    place = int.from_bytes(metadata[:4], "little")
    return [Table(bytearray(metadata), place)]


def _below(tables: list[Table], *fields: int) -> list[Table]:
    """The tables that these fields lead to, of the first entry of each but the last."""
    for field in fields:
        tables = _children(tables[0], field) if tables else []
    return tables


def _children(table: Table, field: int) -> list[Table]:
    if not (offset := table.Offset(4 + 2 * field)):
        return []
    start, count = table.Vector(offset), table.VectorLen(offset)
    return [Table(table.Bytes, table.Indirect(start + 4 * n)) for n in range(min(count, 100))]


def _child(table: Table, field: int) -> Table:
    return Table(table.Bytes, table.Indirect(table.Offset(4 + 2 * field) + table.Pos))


def _number(table: Table, field: int, flags: Any) -> int:
    offset = table.Offset(4 + 2 * field)
    return int(table.Get(flags, offset + table.Pos)) if offset else 0


def _floats(table: Table, field: int) -> list[float]:
    offset = table.Offset(4 + 2 * field)
    values = table.GetVectorAsNumpy(number_types.Float32Flags, offset) if offset else []
    return [float(value) for value in values]


def _text(table: Table, field: int) -> str:
    offset = table.Offset(4 + 2 * field)
    return bytes(table.String(offset + table.Pos)).decode() if offset else ""
