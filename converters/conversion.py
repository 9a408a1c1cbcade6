"""From a run's weights to the bytes of its exports: what the child process of an export does."""

import errno
import os
import tempfile
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.converters.calibration import CalibrationSet
from edge_melanoma.converters.float_layers import rank_layers, time_cpu, win_back_recall
from edge_melanoma.converters.layer_errors import measure_layer_errors
from edge_melanoma.converters.networks import bias_correction
from edge_melanoma.converters.networks.pruning import prune_dead_channels
from edge_melanoma.converters.networks.rewriting import fold_batch_norm, without_sigmoid
from edge_melanoma.converters.packing import seal_model, slim_model
from edge_melanoma.converters.quantization_aware import (
    Lesson,
    convert_tuned,
    float_layers_of,
    tune_quantised,
)
from edge_melanoma.converters.settings import Conversion, Job
from edge_melanoma.converters.tflite import Int8Converter, convert_network
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.predictions import PredictionSet, predict, read_predictions
from edge_melanoma.machine.tensorflow import make_deterministic, tf
from edge_melanoma.machine.terminal import Reporter, TerminalReporter
from edge_melanoma.network.network import load_network
from edge_melanoma.runs.models import TrainedModel, open_run
from edge_melanoma.runs.pictures import read_side
from edge_melanoma.runtime.classifiers import KerasClassifier, TFLiteClassifier
from edge_melanoma.runtime.names import Runtime
from edge_melanoma.tflite.modes import Correction, Mode, Output

JUDGED_IMAGES = 32
"""Calibration images on which layers are compared: each takes two slow runs of the network."""

FULL_DISK = os.strerror(errno.ENOSPC)


def convert_modes(job: Job) -> dict[Mode, Conversion]:
    """In a process of its own: a converter that crashes, or keeps its memory, takes nobody along.

    Raises:
        EdgeMelanomaError: an operator that cannot be converted, a limit that cannot be met, a disk
            that is full.
    """
    if job.settings.deterministic:
        make_deterministic(job.settings.seed)
    converter = _RunConverter(job, TerminalReporter())
    try:
        return {mode: converter.convert(mode) for mode in job.modes}
    except (OSError, tf.errors.ResourceExhaustedError) as error:
        if FULL_DISK not in str(error):
            raise
        raise EdgeMelanomaError(
            f"The conversion ran out of disk: there is no space left in {tempfile.gettempdir()} or "
            f"{job.cache_folder}; free it, or choose other folders by TMPDIR and --cache-dir."
        ) from error


class _RunConverter:
    """What the modes of one run share, made when it is first needed."""

    def __init__(self, job: Job, reporter: Reporter) -> None:
        self._job, self._settings, self._reporter = job, job.settings, reporter
        self._run: TrainedModel = open_run(job.folder)
        self._network = load_network(self._run)
        tunes = Mode.INT8_QAT in job.modes
        needed = {"train": tunes, "validation": tunes or job.settings.max_recall_drop is not None}
        self._sides = {side: read_side(self._run, side) for side in needed if needed[side]}

    @property
    def _calibration(self) -> CalibrationSet:
        if self._job.calibration is None:
            raise ValueError("a mode that rounds weights needs a calibration set")
        return self._job.calibration

    @cached_property
    def _pruned(self) -> tuple[Any, dict[str, int]]:
        folded = fold_batch_norm(self._network)
        return prune_dead_channels(folded, self._calibration.batches())

    def convert(self, mode: Mode) -> Conversion:
        """One file, as small as it can be written, with a hash of itself inside."""
        notes = {}
        if mode is Mode.FLOAT32:
            conversion = Conversion(data=self._convert_plainly(self._network, mode))
        else:
            self._reporter.say(f"Converting to {mode}")
            if mode.is_full_int8:
                conversion = self._int8() if mode is Mode.INT8 else self._int8_qat()
                errors = measure_layer_errors(self._float_model, conversion.data, self._judged)
                conversion = replace(conversion, layer_errors=errors)
            else:
                conversion = Conversion(data=self._convert_plainly(self._pruned[0], mode))
            notes = {"pruned_channels": self._pruned[1]}
        return replace(
            conversion,
            data=seal_model(slim_model(conversion.data)),
            notes={**notes, **conversion.notes},
        )

    def _convert_plainly(self, network: Any, mode: Mode) -> bytes:
        calibration = None if mode is Mode.FLOAT32 else self._calibration
        return convert_network(network, mode, calibration=calibration, settings=self._settings)

    def _int8(self) -> Conversion:
        converter = Int8Converter(self._pruned[0], self._calibration, self._settings)
        limit = self._settings.max_recall_drop
        if limit is None:
            return Conversion(data=slim_model(converter.convert()))
        uncorrected = replace(self._settings, correction=Correction.NONE)
        alone = Int8Converter(self._pruned[0], self._calibration, uncorrected)
        harms = rank_layers(
            alone, reference=self._float_model, images=self._judged, reporter=self._reporter
        )
        data, steps = win_back_recall(
            lambda float_layers: slim_model(converter.convert(float_layers)),
            tuple(harms),
            score=self._score_validation,
            time_cpu=lambda data: time_cpu(data, self._judged[0]),
            reference=self._stored("validation"),
            threshold=self._run.threshold,
            max_recall_drop=limit,
        )
        return Conversion(
            data=data, notes={"float_layers": steps}, float_layers=steps[-1]["float_layers"]
        )

    def _score_validation(self, data: bytes) -> PredictionSet:
        side = "validation"
        with TFLiteClassifier(data, name="the export", runtime=Runtime.LITERT) as classifier:
            return predict(classifier, self._sides[side], reporter=self._reporter, label=side)

    def _int8_qat(self) -> Conversion:
        settings, network = self._settings, self._pruned[0]
        ranges = bias_correction.measure_ranges(network, self._calibration.batches())
        corrected = bias_correction.correct_biases(
            network,
            self._calibration.sample(),
            rounding=bias_correction.round_to_int8,
            ranges=ranges,
        )
        tuned = tune_quantised(
            corrected,
            ranges,
            Lesson(
                train=self._sides["train"],
                validation=self._sides["validation"],
                train_scores=self._one_view("train"),
                validation_scores=self._one_view("validation"),
                threshold=self._run.threshold,
                seed=settings.seed,
            ),
            settings.tuning,
            output=settings.output,
            checkpoint_folder=self._job.checkpoint_folder,
            cache_folder=self._job.cache_folder,
            reporter=self._reporter,
        )
        return Conversion(
            data=convert_tuned(tuned, io=settings.io, output=settings.output, views=settings.views),
            notes={"best_epoch": tuned.best_epoch, "cached_up_to": tuned.cut},
            history=tuned.history,
            float_layers=float_layers_of(settings.output),
        )

    @cached_property
    def _float_model(self) -> bytes:
        """What the int8 files compute, in float32: up to the logit where they end there."""
        network = self._pruned[0]
        if self._settings.output is Output.LOGIT:
            network = without_sigmoid(network)
        return self._convert_plainly(network, Mode.FLOAT32)

    @property
    def _judged(self) -> NDArray[np.uint8]:
        pixels = self._calibration.pixels
        return pixels[:: max(1, len(pixels) // JUDGED_IMAGES)]

    def _one_view(self, side: str) -> PredictionSet:
        """Scores of pictures as they are: a tuned network learns to give those."""
        if self._run.views == 1 or side == "train":
            return self._stored(side)
        label = f"Scoring {side}, one view a picture"
        return predict(
            KerasClassifier(self._network), self._sides[side], reporter=self._reporter, label=label
        )

    def _stored(self, side: str) -> PredictionSet:
        return read_predictions(self._run.folder / f"predictions_{side}.csv")
