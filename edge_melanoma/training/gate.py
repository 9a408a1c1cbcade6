"""Fits a run's gate: on training pictures of all sources, its limit on validation."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.images import Pixels, scale_pixels, stream_images
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.strays import cut_skin, draw_scenes
from edge_melanoma.machine.files import write_atomically
from edge_melanoma.machine.terminal import Reporter
from edge_melanoma.network.gate import LAYER, Gate, means_of
from edge_melanoma.network.network import compile_forward
from edge_melanoma.runs.models import GATE
from edge_melanoma.tflite.gate import STEP, GateRule

MOST_PICTURES, FEWEST_PICTURES = 6000, 100
"""Of the training side: more change little, and fewer say nothing of what is odd."""

COMPONENTS, PICTURES_A_COMPONENT = 96, 8
STRAY_SHARE, MOST_STRAYS, FEWEST_STRAYS = 1 / 6, 800, 20
PERCENTILE = 98.5
"""Of validation, which is judged: 1.5 % of pictures like those of the training are refused."""

TOLD_FROM = 98.0
"""Percentile of the training's pictures from which on a one-sided component counts."""

WEIGHT = 8.0
"""Of a one-sided component, for each standard deviation beyond that."""

FARTHEST = 8.0
"""Components are cut to it while a straight line is fitted through them."""

BATCH_SIZE = 32
Means = NDArray[np.float32]
Floats = NDArray[np.float64]


def fit_gate(
    network: Any,
    train: Sequence[LesionRecord],
    validation: Sequence[LesionRecord],
    *,
    seed: int,
    reporter: Reporter,
) -> tuple[Gate, dict[str, Any]] | None:
    """A gate and what a manifest says of it; none where there are too few pictures.

    A picture's means of `block_10_expand` over the places of one view become at most 96 principal
    components, each with deviation 1 on training pictures (Lee and others, 2018). A further one
    for bare skin and one for drawn scenes are by logistic regression what tells them from training
    pictures, and count on one side only.
    """
    if len(train) < FEWEST_PICTURES or not any(one.name == LAYER for one in network.layers):
        reporter.say(
            f"No gate was fitted: it takes {FEWEST_PICTURES} training pictures, and a network with "
            f"the layer {LAYER}."
        )
        return None
    rng, size = np.random.default_rng(seed), int(network.input_shape[1])
    chosen = [train[place] for place in np.sort(rng.permutation(len(train))[:MOST_PICTURES])]
    paths = [record.path for record in chosen]
    forward = partial(_means, compile_forward(means_of(network)), reporter=reporter)
    own = forward(_batches(paths, size), len(paths), "Fitting the gate")
    judged = [record.path for record in validation]
    others = forward(_batches(judged, size), len(judged), "Setting its limit")
    count = max(FEWEST_STRAYS, min(MOST_STRAYS, int(len(paths) * STRAY_SHARE)))
    made = {
        "scenes": draw_scenes(count=count, size=size, rng=rng),
        "skin": cut_skin(paths, count=count, size=size, rng=rng),
    }
    strays = {
        name: forward(_stacked(pictures), count, f"Fitting the gate: {name}")
        for name, pictures in made.items()
    }
    strays = {name: means for name, means in strays.items() if len(means) >= FEWEST_STRAYS}
    kernel, bias = _fit_components(own, strays)
    rule = GateRule(components=len(bias), one_sided=len(strays), limit=np.inf)
    largest = float(max(means.max() for means in (own, others, *strays.values())))
    gate = Gate(kernel=kernel, bias=bias, centre=own.mean(axis=0), largest_mean=largest, rule=rule)
    found = gate.distances(others)
    # On the grid of the files' integers, so that float and integer say the same.
    limit = float(np.ceil(np.percentile(found, PERCENTILE) / STEP**2) * STEP**2)
    told = {
        "layer": LAYER,
        "components": len(bias),
        "one_sided": len(strays),
        "strays": {name: len(means) for name, means in strays.items()},
        "limit": limit,
        "percentile": PERCENTILE,
        "fitted_on": len(own),
        "limit_set_on": len(others),
    }
    return replace(gate, rule=replace(rule, limit=limit)), told


def record_gate(folder: Path, gate: Gate) -> None:
    """Write a gate beside a run's weights."""
    from safetensors.numpy import save

    largest = np.array([gate.largest_mean], np.float32)
    arrays = {"kernel": gate.kernel, "bias": gate.bias, "centre": gate.centre}
    arrays["largest_mean"] = largest
    write_atomically(folder / GATE, save(arrays))


def _batches(paths: Sequence[Path], size: int) -> Iterator[NDArray[np.uint8]]:
    return stream_images(paths, batch_size=BATCH_SIZE, size=size)


def _stacked(pictures: Iterable[Pixels]) -> Iterator[NDArray[np.uint8]]:
    ones = iter(pictures)
    while batch := list(islice(ones, BATCH_SIZE)):
        yield np.stack(batch)


def _means(
    forward: Any,
    batches: Iterator[NDArray[np.uint8]],
    total: int,
    label: str,
    *,
    reporter: Reporter,
) -> Means:
    ones = (one for batch in batches for one in forward(scale_pixels(batch)))
    return np.array(list(reporter.track(ones, label=label, total=total)), np.float32)


def _fit_components(own: Means, strays: dict[str, Means]) -> tuple[Means, Means]:
    """The kernel (channels, components) and the bias (components,)."""
    centre = own.mean(axis=0, dtype=np.float64)
    around = own - centre
    variances, axes = np.linalg.eigh(around.T @ around / len(own))
    count = min(COMPONENTS, len(own) // PICTURES_A_COMPONENT, int((variances > 1e-9).sum()))
    kernel = axes[:, ::-1][:, :count] / np.sqrt(variances[::-1][:count])
    places, columns, offsets = around @ kernel, [kernel], [-centre @ kernel]
    for means in strays.values():
        slope, offset = _one_sided(places, (means - centre) @ kernel)
        columns.append((kernel @ slope)[:, np.newaxis])
        offsets.append(np.array([offset - centre @ kernel @ slope]))
    return np.hstack(columns).astype(np.float32), np.concatenate(offsets).astype(np.float32)


def _one_sided(own: Floats, strays: Floats) -> tuple[Floats, float]:
    """Slope and offset of a component that is above 0 for `strays` and hardly for `own`."""
    from sklearn.linear_model import LogisticRegression

    both = np.concatenate([own, strays]).clip(-FARTHEST, FARTHEST)
    labels = np.repeat([0, 1], [len(own), len(strays)])
    fitted = LogisticRegression(C=0.1, max_iter=500, class_weight="balanced").fit(both, labels)
    slope = fitted.coef_[0]
    values = own @ slope
    scale = WEIGHT / values.std()
    return slope * scale, float(-np.percentile(values, TOLD_FROM) * scale)
