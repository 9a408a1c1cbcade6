"""Same lesion, same answer: each picture as twenty phones would have taken it.

A phone turns, scales, compresses and colours a picture in its own way. Each pipeline is one
function of the upright picture; what counts is whether the file's decision is another one.
"""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge_melanoma.benchmarks.sections import Column, ReportSection, section_of
from edge_melanoma.data.images import decode_image, read_image_bytes, resize_image
from edge_melanoma.data.lesions import LesionRecord, spread
from edge_melanoma.evaluation.metrics import (
    BOOTSTRAP_RESAMPLES,
    BOOTSTRAP_SEED,
    percentile_interval,
    wilson_interval,
)
from edge_melanoma.evaluation.promises import answers_of
from edge_melanoma.machine.terminal import Reporter
from edge_melanoma.runtime.classifiers import SessionPool
from edge_melanoma.runtime.interpreters import SessionSettings, TFLiteSession

Pixels = NDArray[np.uint8]
Numbers = NDArray[np.float64]
Thresholds = tuple[float, float]
"""The lower and the upper one; equal where a file gives two answers."""

SRGB_TO_P3 = np.array([[0.8225, 0.1774, 0.0], [0.0332, 0.9669, 0.0], [0.0171, 0.0724, 0.9108]])
"""Of linear light; CSS Color 4, white point D65."""


def _to_light(levels: Numbers) -> Numbers:
    """The transfer curve of sRGB, 0..1."""
    return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)


def _to_levels(light: Numbers) -> Pixels:
    clipped = light.clip(0.0, 1.0)
    levels = np.where(clipped <= 0.0031308, clipped * 12.92, 1.055 * clipped ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(levels * 255), dtype=np.uint8)


LIGHT = _to_light(np.arange(256) / 255)
"""Of each grey level."""


def gain(image: Pixels, *, gains: tuple[float, float, float]) -> Pixels:
    """White balance and exposure: each channel's light times a number."""
    tables = [_to_levels(LIGHT * gain) for gain in gains]
    return np.stack([tables[place][image[..., place]] for place in range(3)], axis=-1)


def _expose(image: Pixels, *, stops: float) -> Pixels:
    return gain(image, gains=(2.0**stops,) * 3)


def _as_jpeg(image: Pixels, *, quality: int) -> Pixels:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def _p3_taken_for_srgb(image: Pixels) -> Pixels:
    """What a Display P3 photo of the same colours holds, read as if it were sRGB: paler."""
    return _to_levels(LIGHT[image] @ SRGB_TO_P3.T)


def _scale(image: Pixels, *, share: float) -> Pixels:
    height, width = (max(1, round(side * share)) for side in image.shape[:2])
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


def _shift(image: Pixels, *, axis: int) -> Pixels:
    """By one pixel; the edge stands twice."""
    moved = np.roll(image, 1, axis=axis)
    edge = (slice(None),) * axis + (slice(0, 1),)
    moved[edge] = image[edge]
    return moved


PIPELINES: Mapping[str, Callable[[Pixels], Pixels]] = MappingProxyType(
    {
        "warmer light": partial(gain, gains=(1.08, 1.0, 0.92)),
        "cooler light": partial(gain, gains=(0.92, 1.0, 1.08)),
        "much warmer light": partial(gain, gains=(1.2, 1.0, 0.8)),
        "much cooler light": partial(gain, gains=(0.8, 1.0, 1.2)),
        "greenish light": partial(gain, gains=(0.95, 1.05, 0.95)),
        "1/3 stop brighter": partial(_expose, stops=1 / 3),
        "1/3 stop darker": partial(_expose, stops=-1 / 3),
        "2/3 stop brighter": partial(_expose, stops=2 / 3),
        "2/3 stop darker": partial(_expose, stops=-2 / 3),
        "JPEG quality 90": partial(_as_jpeg, quality=90),
        "JPEG quality 75": partial(_as_jpeg, quality=75),
        "JPEG quality 50": partial(_as_jpeg, quality=50),
        "Display P3 taken for sRGB": _p3_taken_for_srgb,
        "three quarters of the pixels a side": partial(_scale, share=0.75),
        "half of the pixels a side": partial(_scale, share=0.5),
        "turned by 90 degrees": partial(np.rot90, k=1),
        "turned by 180 degrees": partial(np.rot90, k=2),
        "turned by 270 degrees": partial(np.rot90, k=3),
        "one pixel to the right": partial(_shift, axis=1),
        "one pixel down": partial(_shift, axis=0),
    }
)


MOST_PICTURES = 400
"""8,000 decisions a file; the interval of their share is then a percentage point or two wide."""


def measure_stability(
    models: Sequence[SessionSettings],
    records: tuple[LesionRecord, ...],
    *,
    thresholds: Mapping[str, Thresholds],
    reporter: Reporter,
) -> dict[str, Any]:
    """The `stability` of parity.json; the name of a model is its mode.

    Of many `records` 400 are taken, evenly spaced. `changed` is the share of decisions that are
    another one than of the picture as it is, over all pictures and pipelines, with the middle 95 %
    of resamplings of pictures; `lost` counts malignant pictures that move towards *not flagged*.
    """
    records = spread(records, limit=MOST_PICTURES)
    paths = [record.path for record in records]
    malignant = np.array([record.is_malignant for record in records])
    told = []
    for model in models:
        with SessionPool({model.name: model}) as pool:
            rows = pool.map(_score_all, paths, model=model.name)
            label = f"Stability of {model.name}"
            scores = np.array(list(reporter.track(rows, label=label, total=len(paths))))
        told.append({"mode": model.name, **judge(scores, malignant, thresholds[model.name])})
    return {"pictures": len(paths), "pipelines": list(PIPELINES), "models": told}


def _score_all(session: TFLiteSession, path: Path) -> list[float]:
    """In a child: P(malignant) of the picture as it is, then by each pipeline."""
    pixels = decode_image(read_image_bytes(path), name=str(path))
    taken: Iterator[Pixels] = (make(pixels) for make in PIPELINES.values())
    return [
        session.score(resize_image(np.ascontiguousarray(one), size=session.image_size))
        for one in (pixels, *taken)
    ]


def judge(scores: Numbers, malignant: NDArray[np.bool_], ends: Thresholds) -> dict[str, Any]:
    """Of scores (pictures, 1 + pipelines), the first of each picture as it is."""
    answers = answers_of(scores, lower=ends[0], upper=ends[1])
    steps = answers[:, 1:] - answers[:, :1]
    changed, pictures = steps != 0, len(scores)
    random = np.random.default_rng(BOOTSTRAP_SEED)
    times = random.multinomial(pictures, np.full(pictures, 1 / pictures), BOOTSTRAP_RESAMPLES)
    by_pipeline = {
        name: {
            "changed": float(changed[:, place].mean()),
            "interval": wilson_interval(int(changed[:, place].sum()), pictures),
            "lost": int((malignant & (steps[:, place] < 0)).sum()),
            "mean_score_difference": float(np.abs(scores[:, 1 + place] - scores[:, 0]).mean()),
        }
        for place, name in enumerate(PIPELINES)
    }
    worst = list(PIPELINES)[int(np.argmax(changed.mean(axis=0)))]
    return {
        "pictures": pictures,
        "changed": float(changed.mean()),
        "interval": percentile_interval(times @ changed.mean(axis=1) / pictures),
        "unstable_pictures": float(changed.any(axis=1).mean()),
        "worst": worst,
        "worst_changed": by_pipeline[worst]["changed"],
        "by_pipeline": by_pipeline,
    }


COLUMNS: tuple[Column, ...] = (
    ("model", "{0[mode]}"),
    ("pipeline", "{0[pipeline]}"),
    ("decisions changed", "{0[changed]:.2%}"),
    ("95 % interval", "{0[interval][0]:.2%} .. {0[interval][1]:.2%}"),
    ("malignant lost", "{0[lost]}"),
    ("mean |dp|", "{0[mean_score_difference]:.4f}"),
)


def stability_section(told: Mapping[str, Any]) -> ReportSection:
    """A row for each model over all pipelines, and for each pipeline, the worst first."""
    rows = []
    for model in told["models"]:
        found = [{"pipeline": name, **one} for name, one in model["by_pipeline"].items()]
        found.sort(key=lambda one: -one["changed"])
        whole = {
            "pipeline": f"all {len(found)}",
            "changed": model["changed"],
            "interval": model["interval"],
            "lost": sum(one["lost"] for one in found),
            "mean_score_difference": float(
                np.mean([one["mean_score_difference"] for one in found])
            ),
        }
        rows += [{"mode": model["mode"], **one} for one in (whole, *found)]
    return section_of(
        "Same lesion, same answer: decisions under phone pipelines",
        COLUMNS,
        rows,
        note=f"{told['pictures']} pictures, each file at its own threshold, against its own "
        f"decision for the picture as it is.",
        key="stability",
        content=told,
    )
