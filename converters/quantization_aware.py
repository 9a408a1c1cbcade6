"""Quantization-aware training: the int8 file's own network, tuned to give the float one's scores.

The start is what post-training quantisation ends with: folded, pruned, biases corrected, ranges
calibrated. Only the last part of the network learns; what comes before it is run as the int8 file
runs it, by LiteRT, and kept as integers, so that training sees exactly the file's activations.
"""

import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.converters.litert import SIGMOID_RANGE
from edge_melanoma.converters.networks.bias_correction import Ranges
from edge_melanoma.converters.networks.fake_quantization import fake_quantize, settle_kernel_ranges
from edge_melanoma.converters.networks.rewriting import PIXELS_LAYER, parents_of, separate_ends
from edge_melanoma.converters.settings import TuningSettings
from edge_melanoma.converters.tflite import convert_fake_quantised
from edge_melanoma.data.images import IMAGE_SIZE, RESIZE_ID
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.evaluation.metrics import measure
from edge_melanoma.evaluation.predictions import PredictionSet
from edge_melanoma.machine.files import sha256_of
from edge_melanoma.machine.processes import stderr_discarded
from edge_melanoma.machine.tensorflow import tf
from edge_melanoma.machine.terminal import Reporter
from edge_melanoma.network.network import GAP_LAYER, prefix_of, suffix_of
from edge_melanoma.network.recipes import Stage
from edge_melanoma.runtime.interpreters import quantization_of
from edge_melanoma.tflite.modes import InputOutput, Output
from edge_melanoma.tflite.quantization import LOGIT_NAME, SCORE_NAME, logit
from edge_melanoma.training import checkpoints
from edge_melanoma.training.activations import cache_activations
from edge_melanoma.training.batches import CachedBatches, labels_of
from edge_melanoma.training.fit import fit_stage
from edge_melanoma.training.trainee import Trainee

TRAINED_LAYERS = 29
"""Of the backbone, counted with batch-norm and ReLU: as many as the variants tune at most."""

LOGIT_RANGE = (-8.0, 8.0)
"""Beyond it a score is within 0.0004 of 0 or 1; what images give, -13..29, has coarser steps."""

LARGEST_SHIFT, SMALLEST_SCORE = 1.0, 1 / 512
"""Of the alignment: how far logits may be shifted either way, and half a step of a score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What the int8 network learns from: pictures with the scores that the float network gave."""

    train: Sequence[LesionRecord]
    validation: Sequence[LesionRecord]
    train_scores: PredictionSet
    validation_scores: PredictionSet
    threshold: float
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedNetwork:
    """A fake-quantised tf_keras network, ready to be converted, and how it came about.

    Epoch 0 is the start; `cut` is the layer whose cached integers the training began from.
    """

    network: Any
    history: tuple[checkpoints.HistoryRow, ...]
    best_epoch: int
    cut: str


def tune_quantised(
    corrected: Any,
    ranges: Ranges,
    lesson: Lesson,
    settings: TuningSettings,
    *,
    output: Output,
    checkpoint_folder: Path,
    cache_folder: Path,
    reporter: Reporter,
) -> TunedNetwork:
    """Tune a folded network whose biases are corrected; a run that was cut off is gone on with.

    Epochs are ranked by how far they are from the float network on validation: the share of
    decisions that turned either way, the change of AUC, and the mean difference of scores. The
    start is ranked too, and the best is restored.
    """
    quantised = make_quantised(corrected, ranges, output=output)
    prefix = Int8Prefix(quantised, cut=_cut_of(corrected, ranges))
    cached = partial(cache_activations, prefix, cache_folder=cache_folder, reporter=reporter)
    train, validation = (
        CachedBatches(activations=cached(records), labels=labels_of(records))
        for records in (lesson.train, lesson.validation)
    )
    trainee = Trainee(
        network=quantised,
        model=suffix_of(quantised, cut=prefix.cut),
        stage=Stage(
            name="int8-qat",
            unfrozen_backbone_layers=TRAINED_LAYERS,
            learning_rate=settings.learning_rate,
            epochs=settings.epochs,
            patience=settings.epochs,
        ),
        train=train,
        validation=validation,
        batch_size=settings.batch_size,
        seed=lesson.seed,
        targets=lesson.train_scores.scores.astype(np.float32),
        threshold=lesson.threshold,
        rank=partial(_badness, lesson.validation_scores, threshold=lesson.threshold),
    )
    state = _state_of(quantised, checkpoint_folder, prefix, lesson, settings)
    fit_stage(
        trainee,
        state=state,
        on_epoch=lambda: checkpoints.save_checkpoint(checkpoint_folder, state, quantised),
        reporter=reporter,
    )
    settle_kernel_ranges(quantised)
    return TunedNetwork(
        network=quantised,
        history=tuple(state.history),
        best_epoch=state.epoch - state.epochs_since_best,
        cut=prefix.cut,
    )


def make_quantised(corrected: Any, ranges: Ranges, *, output: Output) -> Any:
    """The fake-quantised network from picture to score or logit, as its file will be."""
    ends = {PIXELS_LAYER: (0.0, 1.0)}
    if output is not Output.FLOAT32:
        ends |= {LOGIT_NAME: LOGIT_RANGE, SCORE_NAME: SIGMOID_RANGE}
    floats = float_layers_of(output)
    return fake_quantize(separate_ends(corrected), {**ranges, **ends}, float_layers=floats)


def float_layers_of(output: Output) -> tuple[str, ...]:
    """The layers that a kind of output keeps in float."""
    return (LOGIT_NAME, SCORE_NAME) if output is Output.FLOAT32 else ()


def convert_quantised(network: Any, *, io: InputOutput, output: Output, views: int) -> bytes:
    """The int8 file of a fake-quantised network."""
    if output is Output.LOGIT:
        network = prefix_of(network, cut=LOGIT_NAME)
    end = InputOutput.FLOAT32 if output is Output.FLOAT32 else io
    return convert_fake_quantised(network, ends=(io, end), views=views)


def find_shift(reference: PredictionSet, scores: PredictionSet, *, threshold: float) -> float:
    """What has to be added to the logits of `scores` so that as many decisions turn each way.

    Pictures count by their nearness to the threshold, over one or two units of the logit: with it
    taken off both logits, both sides' mean scores become equal.
    """
    from scipy.optimize import brentq
    from scipy.special import expit

    margin = SMALLEST_SCORE, 1 - SMALLEST_SCORE
    before, after = (logit(one.scores.clip(*margin)) for one in (reference, scores))
    centre = float(logit(np.array(threshold)))
    wanted = expit(before - centre).mean()

    def excess(shift: float) -> float:
        return float(expit(after + shift - centre).mean() - wanted)

    if excess(-LARGEST_SHIFT) * excess(LARGEST_SHIFT) >= 0:
        return math.copysign(LARGEST_SHIFT, -excess(0.0))
    return float(brentq(excess, -LARGEST_SHIFT, LARGEST_SHIFT))


def shift_logits(quantised: Any, shift: float) -> None:
    """Add to the bias of a fake-quantised network's last kernel."""
    layer = quantised.get_layer(LOGIT_NAME)
    bias = getattr(layer, "layer", layer).bias
    bias.assign_add(tf.fill(bias.shape, np.float32(shift)))


def _cut_of(corrected: Any, ranges: Ranges) -> str:
    """The last int8 tensor before the layers that learn that all later layers depend on alone."""
    names = [layer.name for layer in corrected.layers]
    last = names.index(GAP_LAYER) - TRAINED_LAYERS
    found: list[str] = []
    reaching_over: set[str] = set()
    for layer in reversed(corrected.layers):
        reaching_over.discard(layer.name)
        if names.index(layer.name) < last and layer.name in ranges and not reaching_over:
            found.append(layer.name)
        reaching_over |= set(parents_of(layer))
    return found[0]


class Int8Prefix:
    """From pictures in 0..1 to the integers that the int8 file has at the layer `cut`."""

    dtype = np.dtype(np.int8)

    def __init__(self, quantised: Any, *, cut: str) -> None:
        from ai_edge_litert.interpreter import Interpreter

        model = prefix_of(quantised, cut=cut)
        data = convert_fake_quantised(model, ends=(InputOutput.INT8, InputOutput.INT8))
        self.cut = cut
        self.shape = tuple(int(side) for side in model.output_shape[1:])
        digest = sha256_of(f"{RESIZE_ID} {IMAGE_SIZE}".encode() + data)
        self.key = f"int8-{cut}-{digest[:16]}"
        with stderr_discarded():
            self._interpreter = Interpreter(model_content=data, num_threads=os.cpu_count())
            self._interpreter.allocate_tensors()
        (self._input,) = self._interpreter.get_input_details()
        (self._output,) = self._interpreter.get_output_details()
        self._pixels, self._activations = map(quantization_of, (self._input, self._output))

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.int8]:
        """Integers (n, *shape) of pictures (n, 224, 224, 3)."""
        integers = []
        for pixels in self._pixels.quantize(images.astype(np.float64)):
            self._interpreter.set_tensor(self._input["index"], pixels[np.newaxis])
            self._interpreter.invoke()
            integers.append(self._interpreter.get_tensor(self._output["index"]))
        return np.concatenate(integers)

    def restore(self, rows: NDArray[np.int8]) -> NDArray[np.float32]:
        """The real numbers that the integers stand for."""
        return self._activations.dequantize(rows).astype(np.float32)


def _badness(reference: PredictionSet, scores: NDArray[np.float64], *, threshold: float) -> float:
    """How far validation is from the float network: decisions changed either way, AUC, scores."""
    tuned = replace(reference, scores=scores)
    changed = np.mean(
        reference.decisions(threshold=threshold) != tuned.decisions(threshold=threshold)
    )
    areas = [measure(one, threshold=threshold).auc for one in (reference, tuned)]
    difference = np.abs(scores - reference.scores).mean()
    return float(changed + abs(areas[0] - areas[1]) + difference)


def _state_of(
    quantised: Any, folder: Path, prefix: Int8Prefix, lesson: Lesson, settings: TuningSettings
) -> checkpoints.TrainingState:
    """The unfinished training of the same settings, or the beginning of one."""
    scores = lesson.train_scores.scores, lesson.validation_scores.scores
    arrays = [*(weight.numpy() for weight in quantised.weights), *scores]
    start = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)
    told = {**asdict(settings), "prefix": prefix.key, "seed": lesson.seed}
    identity = json.dumps({**told, "start": sha256_of(start)}, sort_keys=True)
    if (folder / checkpoints.CHECKPOINT).is_file():
        return checkpoints.load_checkpoint(folder, settings=identity, network=quantised)
    return checkpoints.TrainingState(settings=identity)
