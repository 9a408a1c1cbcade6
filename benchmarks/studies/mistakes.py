"""What each preprocessing mistake costs: the same pictures, done wrong, against done right.

The classic errors between a picture and a network's input are one function each. Nothing here is
how it should be done: see `images` and `TensorQuantization.pixel_table` for that.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge_melanoma.benchmarks.sections import Column, ReportSection, section_of
from edge_melanoma.data.crops import Crop
from edge_melanoma.data.images import IMAGE_SIZE, decode_image, read_image_bytes, resize_image
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.evaluation.metrics import measure
from edge_melanoma.evaluation.predictions import make_prediction_set
from edge_melanoma.machine.terminal import Reporter
from edge_melanoma.runtime.classifiers import SessionPool
from edge_melanoma.runtime.interpreters import SessionSettings, TFLiteSession
from edge_melanoma.tflite.quantization import TensorQuantization

Pixels = NDArray[np.uint8]
LEVELS = np.arange(256, dtype=np.float64)
POOR_JPEG_QUALITY = 50
SIZE = (IMAGE_SIZE, IMAGE_SIZE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One error: another picture (224, 224, 3) from the decoded one, or another number a level.

    `table` gives what each of the 256 grey levels becomes at the input tensor, none where the error
    cannot be made with such a tensor.
    """

    what: str
    picture: Callable[[Pixels], Pixels] = resize_image
    table: Callable[[TensorQuantization], NDArray[np.generic] | None] = (
        TensorQuantization.pixel_table
    )


def _signed_bytes(tensor: TensorQuantization) -> NDArray[np.generic] | None:
    """Java and Kotlin read bytes from -128 to 127; a tensor of unsigned bytes does not notice."""
    signed = LEVELS.astype(np.uint8).view(np.int8)
    if tensor.dtype == "uint8":
        return None
    return signed if tensor.dtype == "int8" else tensor.quantize(signed.astype(np.float64) / 255.0)


def _without_antialiasing(image: Pixels) -> Pixels:
    """Four neighbours whatever the scale, as a phone's `createScaledBitmap` does it."""
    height, width = image.shape[:2]
    scale = (width / IMAGE_SIZE, 0.0, 0.0, 0.0, height / IMAGE_SIZE, 0.0)
    picture = Image.fromarray(image)
    return np.asarray(
        picture.transform(SIZE, Image.Transform.AFFINE, scale, Image.Resampling.BILINEAR)
    )


def _poor_jpeg(image: Pixels) -> Pixels:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=POOR_JPEG_QUALITY)
    return resize_image(np.asarray(Image.open(stream)))


MISTAKES: Mapping[str, Mistake] = MappingProxyType(
    {
        "no division": Mistake(
            what="levels 0..255 instead of 0..1", table=lambda tensor: tensor.quantize(LEVELS)
        ),
        "[-1,1]": Mistake(
            what="levels from -1 to 1 instead of 0..1",
            table=lambda tensor: tensor.quantize(LEVELS / 127.5 - 1.0),
        ),
        "whole division": Mistake(
            what="levels divided as whole numbers, so that only white is not 0",
            table=lambda tensor: tensor.quantize(LEVELS // 255.0),
        ),
        "signed bytes": Mistake(
            what="levels above 127 wrapped to negative ones", table=_signed_bytes
        ),
        "BGR": Mistake(
            what="blue and red swapped", picture=lambda image: resize_image(image)[..., ::-1]
        ),
        "nearest resize": Mistake(
            what="the nearest pixel, nothing between",
            picture=lambda image: np.asarray(
                Image.fromarray(image).resize(SIZE, Image.Resampling.NEAREST)
            ),
        ),
        "no antialiasing": Mistake(
            what="bilinear over four pixels whatever the scale", picture=_without_antialiasing
        ),
        "centre crop": Mistake(
            what="the middle square instead of the whole frame",
            picture=lambda image: resize_image(Crop.CENTRE.apply(image)),
        ),
        # As the sensor of a phone held upright has it: EXIF alone tells to turn it.
        "EXIF ignored": Mistake(
            what="lying by 90 degrees", picture=lambda image: np.rot90(resize_image(image))
        ),
        "JPEG quality 50": Mistake(what="saved again at a poor quality", picture=_poor_jpeg),
    }
)


CORRECT = "none: as it should be"
ALL = {CORRECT: Mistake(what="decoded upright, squashed, levels from 0 to 1"), **MISTAKES}


def price_mistakes(
    model: SessionSettings, records: Sequence[LesionRecord], *, threshold: float, reporter: Reporter
) -> list[dict[str, Any]]:
    """Score the pictures with each mistake by one model; its name is its mode.

    For parity.json, the metrics with a mistake and what is lost of those without, or in `skipped`
    why it cannot be made; the dearest in recall comes first, after the row without a mistake.
    """
    with SessionPool({model.name: model}) as pool:
        found = pool.map(_score_picture, [record.path for record in records], model=model.name)
        rows = list(reporter.track(found, label="Mistakes", total=len(records)))
    scores = np.array([[score for score, _ in row] for row in rows], dtype=np.float64)
    changed = np.array([[is_changed for _, is_changed in row] for row in rows]).sum(axis=0)
    right = measure(make_prediction_set(records, scores[:, 0]), threshold=threshold)
    prices = []
    for number, (name, mistake) in enumerate(ALL.items()):
        price: dict[str, Any] = {"mode": model.name, "mistake": name, "what": mistake.what}
        prices.append(price)
        if np.isnan(scores[:, number]).any():
            price["skipped"] = "the input tensor does not allow it"
            continue
        wrong = measure(make_prediction_set(records, scores[:, number]), threshold=threshold)
        price["images_changed"] = int(changed[number])
        for metric in ("recall", "specificity", "auc"):
            price[f"lost_{metric}"] = getattr(right, metric) - getattr(wrong, metric)
        price |= wrong.as_dict()
    return [prices[0], *sorted(prices[1:], key=_cheapness)]


def mistake_section(prices: Sequence[Mapping[str, Any]]) -> ReportSection:
    """A row for each mistake, dearest first."""
    return section_of(
        "Preprocessing mistakes and what they cost",
        COLUMNS,
        prices,
        note=f"Model {prices[0]['mode']}, the same images and threshold; lost = right - wrong, so "
        f"that a minus is a gain in one of the two, mostly paid in the other. A mistake that "
        f"changes no picture of this set is not harmless elsewhere.",
        key="mistakes",
        content=prices,
    )


def _cheapness(price: Mapping[str, Any]) -> tuple[bool, float, float]:
    return "skipped" in price, -price.get("lost_recall", 0.0), -price.get("lost_specificity", 0.0)


def _priced(text: str, missing: str = "") -> Callable[[Mapping[str, Any]], str]:
    return lambda price: missing if "skipped" in price else text.format(price)


COLUMNS: tuple[Column, ...] = (
    ("mistake", "{0[mistake]}"),
    ("what", "{0[what]}"),
    ("recall", _priced("{0[recall]:.4f}", "cannot be made")),
    ("lost recall", _priced("{0[lost_recall]:+.4f}")),
    ("specificity", _priced("{0[specificity]:.4f}")),
    ("lost", _priced("{0[lost_specificity]:+.4f}")),
    ("AUC", _priced("{0[auc]:.4f}")),
    ("pictures changed", _priced("{0[images_changed]}")),
)


@cache
def _tables(session: TFLiteSession) -> dict[str, NDArray[np.generic] | None]:
    """In a child: of each mistake, what the levels become at the model's input."""
    return {name: mistake.table(session.input_quantization) for name, mistake in ALL.items()}


def _score_picture(session: TFLiteSession, path: Path) -> list[tuple[float, bool]]:
    """In a child, for each mistake: the score, and whether the network's input was another."""
    pixels = decode_image(read_image_bytes(path), name=str(path))
    tables, right, row = _tables(session), None, []
    for name, mistake in ALL.items():
        table = tables[name]
        if table is None:
            row.append((float("nan"), False))
            continue
        values = table.take(mistake.picture(pixels))
        right = values if right is None else right
        row.append((session.score_values(values), not np.array_equal(values, right)))
    return row
