"""The worst errors of a model as pictures: what it saw, what it went by, and how sure it was."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from edge_melanoma.data.images import Pixels, read_image, scale_pixels
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.evaluation.figures import save_figure
from edge_melanoma.evaluation.predictions import PredictionSet
from edge_melanoma.runs.models import TrainedModel
from edge_melanoma.tflite.quantization import SCORE_NAME

CASES_A_ROW = 4
LONGEST_NAME = 34
PICTURES_AT_ONCE = 16


class Failure(StrEnum):
    """The two ways to be wrong."""

    MISS = "miss"
    FALSE_ALARM = "false alarm"

    @property
    def plural(self) -> str:
        """What several are called."""
        return "misses" if self is Failure.MISS else "false alarms"

    @property
    def truth(self) -> str:
        """What such a picture is."""
        return "malignant" if self is Failure.MISS else "benign"


class FailedCase(NamedTuple):
    """One error: the picture (height, width, 3), the heat 0..1 over it, its score and its name."""

    image_id: str
    score: float
    picture: Pixels
    heat: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetMaker:
    """Draws the worst `cases` errors of a run into `folder`, linked from `card`."""

    run: TrainedModel
    network: Any
    folder: Path
    card: Path
    cases: int

    def make(
        self,
        kind: Failure,
        *,
        records: Sequence[LesionRecord],
        predictions: PredictionSet,
        file_name: str,
        set_name: str,
    ) -> dict[str, Any] | None:
        """The sheet of one kind of error of a set, or none where there is no such error.

        Its link from the card (none where it was not drawn), how many errors it shows of all, and
        among how many images. `records` are in the order of `predictions`.
        """
        threshold = self.run.threshold
        errors = worst_failures(predictions, kind=kind, threshold=threshold)
        images = int((predictions.labels == (kind is Failure.MISS)).sum())
        if not errors:
            return None
        link, worst = None, errors[: self.cases]
        if worst:
            title = (
                f"{self.run.variant} on {set_name}: {kind.plural}, the worst {len(worst)} of "
                f"{len(errors)}, among {images} {kind.truth} pictures at threshold {threshold:.3f}"
            )
            path = self.folder / f"{kind.value.replace(' ', '_')}_{file_name}.png"
            pictures = np.stack([read_image(records[place].path) for place in worst])
            heats = heat_maps(self.network, pictures, for_malignant=kind is Failure.FALSE_ALARM)
            ids, scores = [predictions.image_ids[place] for place in worst], predictions.scores
            cases = map(FailedCase._make, zip(ids, scores[worst], pictures, heats, strict=True))
            draw_failure_sheet(list(cases), path, title=title)
            link = Path(os.path.relpath(path.resolve(), self.card.resolve().parent)).as_posix()
        return {"link": link, "shown": len(worst), "errors": len(errors), "images": images}


def worst_failures(predictions: PredictionSet, *, kind: Failure, threshold: float) -> list[int]:
    """Places in `predictions` of the errors of one kind, the one furthest from right first."""
    called = predictions.decisions(threshold=threshold)
    is_miss = kind is Failure.MISS
    places = np.flatnonzero((predictions.labels == is_miss) & (called != is_miss))
    away = predictions.scores if is_miss else -predictions.scores
    return [int(place) for place in places[np.argsort(away[places], kind="stable")]]


def heat_maps(network: Any, pictures: Pixels, *, for_malignant: bool) -> NDArray[np.float32]:
    """Heat 0..1 (n, height, width) for RGB pictures of the network's size; 1 spoke most.

    Grad-CAM (Selvaraju and others, ICCV 2017) of the decision malignant, or else benign. All zero
    where no part spoke for it. The gradient is that of the log-odds: that of the score vanishes
    where the score is near 0 or 1, which is where the worst errors are.
    """
    from edge_melanoma.machine.tensorflow import tf, tf_keras
    from edge_melanoma.network.network import GAP_LAYER

    features = network.get_layer(GAP_LAYER).input
    head = network.get_layer(SCORE_NAME)
    seeing = tf_keras.Model(network.input, features, name="seeing")
    judging = tf_keras.Model(features, head.input, name="judging")
    size = (pictures.shape[2], pictures.shape[1])
    heats = []
    for start in range(0, len(pictures), PICTURES_AT_ONCE):
        seen = seeing(scale_pixels(pictures[start : start + PICTURES_AT_ONCE]), training=False)
        with tf.GradientTape() as tape:
            tape.watch(seen)
            log_odds = tf.matmul(judging(seen, training=False), head.kernel) + head.bias
        weights = tf.reduce_mean(tape.gradient(log_odds, seen), axis=(1, 2), keepdims=True)
        spoke = (1.0 if for_malignant else -1.0) * tf.reduce_sum(weights * seen, axis=-1)
        for heat in tf.nn.relu(spoke).numpy():
            scaled = Image.fromarray(heat / (float(heat.max()) or 1.0))
            heats.append(np.asarray(scaled.resize(size, Image.Resampling.BILINEAR), np.float32))
    return np.stack(heats)


def draw_failure_sheet(cases: Sequence[FailedCase], path: Path, *, title: str) -> Path:
    """Each case as a pair: the picture, and the picture under its heat, with score and name.

    Only pixels and the name within the data set are in the file.
    """
    rows = -(-len(cases) // CASES_A_ROW)
    figure = Figure(figsize=(14, 1.95 * rows + 0.5), layout="constrained")
    grid = figure.subplots(rows, 2 * CASES_A_ROW, squeeze=False).reshape(-1, 2)
    for axes in grid.flat:
        axes.set_axis_off()
    for (plain, heated), case in zip(grid, cases, strict=False):
        plain.imshow(case.picture)
        plain.set_title(f"score {case.score:.4f}", fontsize=8, loc="left")
        heated.imshow(case.picture)
        heated.imshow(case.heat, cmap="turbo", vmin=0, vmax=1, alpha=0.45)
        name = case.image_id
        shown = name if len(name) <= LONGEST_NAME else f"...{name[3 - LONGEST_NAME :]}"
        heated.set_title(shown, fontsize=6, loc="right")
    figure.suptitle(title, fontsize=10)
    return save_figure(figure, path)
