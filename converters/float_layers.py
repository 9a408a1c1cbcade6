"""Which layers of an int8 file stay float: the most harmful first, until recall is won back.

Harm is what a layer does to the score. Its own error does not tell: on a real run the first
depthwise layer, with 35 dB the second best of all, did more harm than any other.
"""

import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.converters.layer_errors import find_operators
from edge_melanoma.converters.tflite import Int8Converter
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.metrics import count_confusions
from edge_melanoma.evaluation.predictions import PredictionSet, refuse_other_images
from edge_melanoma.machine.terminal import Reporter
from edge_melanoma.runtime.interpreters import SessionSettings, TFLiteSession
from edge_melanoma.runtime.names import Runtime
from edge_melanoma.tflite.modes import Output
from edge_melanoma.tflite.quantization import SCORE_NAME

MOST_LAYERS = 20
"""How many are tried: the harm of those after them is a tenth of the first one's or less."""

TIMED_RUNS = 30


def rank_layers(
    converter: Int8Converter, *, reference: bytes, images: NDArray[np.uint8], reporter: Reporter
) -> dict[str, float]:
    """All layers of a network by what their rounding alone does to the score, most harmful first.

    Harm is the mean |change of P(malignant)| when the layer is int8 and all others are float.
    `reference` is the float32 file, `images` are pictures (n, 224, 224, 3) of the training side.
    The converter is one without bias correction: each layer then takes 0.5 CPU seconds.
    """
    layers = dict.fromkeys(operator.layer for operator in find_operators(reference))
    expected = _scores(reference, images)
    harms = {}
    for layer in reporter.track(layers, label="ranking layers", total=len(layers)):
        others = [other for other in layers if other != layer]
        # A float score where it can be had: steps of 1/256 would hide the harm of most layers.
        output = Output.PROBABILITY if layer == SCORE_NAME else Output.FLOAT32
        found = _scores(converter.convert(others, output=output), images)
        harms[layer] = float(np.abs(found - expected).mean())
    return dict(sorted(harms.items(), key=lambda harm: -harm[1]))


def win_back_recall(
    convert: Callable[[Collection[str]], bytes],
    layers: Sequence[str],
    *,
    score: Callable[[bytes], PredictionSet],
    time_cpu: Callable[[bytes], float],
    reference: PredictionSet,
    threshold: float,
    max_recall_drop: float,
    most_layers: int = MOST_LAYERS,
) -> tuple[bytes, list[dict[str, Any]]]:
    """Keep `layers`, most harmful first, float, one more at a time, until the drop is small enough.

    Gives the first file that loses no more than was allowed, and for its manifest the steps up to
    it, each with its float layers, what it loses, weighs and takes: the first one without float
    layers, the last one this file. Errors of layers can cancel: one whose going makes the drop
    larger stays int8, and the next step lacks it.

    `score` runs a file on the pictures of `reference`, which are the validation side's: layers that
    were chosen on the test side would make its figures worthless. `time_cpu` gives the CPU
    milliseconds of a picture.

    Raises:
        EdgeMelanomaError: `most_layers` did not reach it; the sentence names the best file.
    """
    steps: list[dict[str, Any]] = []
    kept: tuple[str, ...] = ()
    for added in [(), *((layer,) for layer in layers[:most_layers])]:
        float_layers = (*kept, *added)
        data = convert(float_layers)
        drop = _recall_drop(reference, score(data), threshold=threshold)
        least = min((step["recall_drop"] for step in steps), default=drop)
        told = {"recall_drop": drop, "size_bytes": len(data), "cpu_ms": time_cpu(data)}
        steps.append({"float_layers": float_layers, **told})
        if drop <= max_recall_drop:
            return data, steps
        if drop <= least:
            kept = float_layers
    best = min(steps, key=lambda step: step["recall_drop"])
    raise EdgeMelanomaError(
        f"With {len(steps) - 1} layers tried in float the recall drop on validation stays above "
        f"{max_recall_drop:g}; the least was {best['recall_drop']:.4f} with "
        f"{', '.join(best['float_layers']) or 'none'} in float: allow a larger --max-recall-drop, "
        f"or export float16."
    )


def time_cpu(data: bytes, image: NDArray[np.uint8]) -> float:
    """The median CPU time of one picture on one thread, in milliseconds."""
    session = _session_of(data)
    session.load_image(image)
    times = [time.process_time_ns()]
    for _ in range(TIMED_RUNS):
        session.invoke()
        times.append(time.process_time_ns())
    return float(np.median(np.diff(times))) / 1e6


def _scores(data: bytes, images: NDArray[np.uint8]) -> NDArray[np.float64]:
    session = _session_of(data)
    return np.array([session.score(image) for image in images])


def _session_of(data: bytes) -> TFLiteSession:
    return TFLiteSession(SessionSettings(data=data, name="the model", runtime=Runtime.LITERT))


def _recall_drop(reference: PredictionSet, candidate: PredictionSet, *, threshold: float) -> float:
    refuse_other_images(reference, candidate)
    before, after = (count_confusions(p, threshold=threshold) for p in (reference, candidate))
    # One division: the difference of two shares can be a rounding above what is allowed.
    return (before.true_positive - after.true_positive) / int(reference.labels.sum())
