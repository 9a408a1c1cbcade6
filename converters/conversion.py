"""From a run's weights to the bytes of its exports: what the child process of an export does.

Int8 files of a folded network by post-training quantisation, as an export's settings ask.
"""

import errno
import os
import tempfile
from collections.abc import Callable, Collection
from dataclasses import asdict
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.converters.calibration import CalibrationSet
from edge_melanoma.converters.float_layers import Recovery, rank_layers, time_cpu, win_back_recall
from edge_melanoma.converters.job import Conversion, ConversionOrder
from edge_melanoma.converters.layer_errors import LayerError, measure_layer_errors
from edge_melanoma.converters.litert import quantize_float_model
from edge_melanoma.converters.networks.bias_correction import (
    correct_biases,
    measure_ranges,
    round_to_int8,
)
from edge_melanoma.converters.networks.folding import fold_batch_norm
from edge_melanoma.converters.networks.heads import without_sigmoid
from edge_melanoma.converters.networks.pruning import PrunedChannels, prune_dead_channels
from edge_melanoma.converters.packing import seal_model, slim_model
from edge_melanoma.converters.quantization_aware import (
    Lesson,
    convert_tuned,
    float_layers_of,
    tune_quantised,
)
from edge_melanoma.converters.settings import ExportSettings
from edge_melanoma.converters.tflite import Int8Converter, convert_network, correct_network
from edge_melanoma.data.images import read_image
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.predictions import PredictionSet, predict, read_predictions
from edge_melanoma.machine.tensorflow import make_deterministic, tf
from edge_melanoma.machine.terminal import Reporter, TerminalReporter
from edge_melanoma.network.network import load_network
from edge_melanoma.runs.models import TrainedModel, open_run
from edge_melanoma.runtime.classifiers import TFLiteClassifier
from edge_melanoma.runtime.names import Runtime
from edge_melanoma.tflite.modes import Backend, Correction, InputOutput, Mode, Output
from edge_melanoma.tflite.quantization import SCORE_NAME


class Int8Files:
    """Files that differ in the layers they keep in float."""

    def __init__(self, network: Any, calibration: CalibrationSet, settings: ExportSettings) -> None:
        self._network = without_sigmoid(network) if settings.output is Output.LOGIT else network
        self._calibration, self._settings = calibration, settings
        self._converter = Int8Converter(
            self._network,
            io=settings.io,
            calibration=calibration,
            correction=settings.correction,
        )

    def convert(self, float_layers: Collection[str] = ()) -> bytes:
        """One file, as small as it can be written."""
        if self._settings.backend is Backend.LITERT:
            return slim_model(
                quantize_by_litert(
                    self._network, Mode.INT8, self._calibration, self._settings, float_layers
                )
            )
        has_float_end = self._settings.output is Output.FLOAT32
        return slim_model(
            self._converter.convert(
                (*float_layers, SCORE_NAME) if has_float_end else float_layers,
                output=InputOutput.FLOAT32 if has_float_end else None,
            )
        )


def quantize_by_litert(
    network: Any,
    mode: Mode,
    calibration: CalibrationSet,
    settings: ExportSettings,
    float_layers: Collection[str] = (),
) -> bytes:
    """A file in any mode by LiteRT's quantizer, the network's means corrected if asked for."""
    if settings.correction is Correction.LAYERWISE:
        network = correct_network(network, mode, calibration)
    data = convert_network(network, Mode.FLOAT32, io=settings.io, calibration=None)
    return quantize_float_model(
        data, mode, io=settings.io, calibration=calibration, float_layers=float_layers
    )


JUDGED_IMAGES = 32
"""Calibration images on which layers are compared: each takes two slow runs of the network."""

FULL_DISK = os.strerror(errno.ENOSPC)


def convert_modes(order: ConversionOrder) -> dict[Mode, Conversion]:
    """In a process of its own: a converter that crashes, or keeps its memory, takes nobody along.

    Raises:
        EdgeMelanomaError: an operator that cannot be converted, a limit that cannot be met, a disk
            that is full.
    """
    if order.settings.deterministic:
        make_deterministic(order.settings.seed)
    workshop = _Workshop(order, TerminalReporter())
    try:
        return {mode: workshop.convert(mode) for mode in order.modes}
    except (OSError, tf.errors.ResourceExhaustedError) as error:
        if FULL_DISK not in str(error):
            raise
        raise EdgeMelanomaError(
            f"The conversion ran out of disk: there is no space left in {tempfile.gettempdir()} or "
            f"{order.cache_folder}; free it, or choose other folders by TMPDIR and --cache-dir."
        ) from error


class _Workshop:
    """What the modes of one run share, made when it is first needed."""

    def __init__(self, order: ConversionOrder, reporter: Reporter) -> None:
        self._order, self._settings, self._reporter = order, order.settings, reporter
        self._run: TrainedModel = open_run(order.folder)
        self._network = load_network(self._run)

    @property
    def _calibration(self) -> CalibrationSet:
        if self._order.calibration is None:
            raise ValueError("a mode that rounds weights needs a calibration set")
        return self._order.calibration

    @cached_property
    def _pruned(self) -> tuple[Any, tuple[PrunedChannels, ...]]:
        folded = fold_batch_norm(self._network)
        return prune_dead_channels(folded, self._calibration.batches())

    def convert(self, mode: Mode) -> Conversion:
        """One file, as small as it can be written, with a hash of itself inside."""
        if mode is Mode.FLOAT32:
            data = convert_network(self._network, mode, io=self._settings.io, calibration=None)
            return Conversion(data=seal_model(slim_model(data)))
        self._reporter.say(f"Converting to {mode}")
        made = {Mode.INT8: self._int8, Mode.INT8_QAT: self._int8_qat}
        conversion = made[mode]() if mode in made else self._other(mode)
        removed = {pruned.layer: pruned.removed for pruned in self._pruned[1]}
        notes = {"pruned_channels": removed, **conversion.notes}
        return Conversion(
            data=seal_model(slim_model(conversion.data)),
            notes=notes,
            layer_errors=conversion.layer_errors,
            history=conversion.history,
            float_layers=conversion.float_layers,
        )

    def _other(self, mode: Mode) -> Conversion:
        network, settings = self._pruned[0], self._settings
        if settings.backend is Backend.LITERT:
            return Conversion(data=quantize_by_litert(network, mode, self._calibration, settings))
        data = convert_network(
            network,
            mode,
            io=settings.io,
            calibration=self._calibration,
            correction=settings.correction,
            with_map=settings.has_map(mode),
        )
        return Conversion(data=data)

    def _int8(self) -> Conversion:
        settings = self._settings
        files = Int8Files(self._pruned[0], self._calibration, settings)
        float_layers: tuple[str, ...] = ()
        if settings.output is Output.FLOAT32:
            float_layers = (SCORE_NAME,)
        notes: dict[str, Any] = {}
        if settings.max_recall_drop is None:
            data = files.convert()
        else:
            recovery = self._win_back(files.convert, settings.max_recall_drop)
            data, float_layers = recovery.data, recovery.float_layers
            notes["float_layers"] = [asdict(step) for step in recovery.steps]
        errors = self._layer_errors(data)
        return Conversion(data=data, notes=notes, layer_errors=errors, float_layers=float_layers)

    def _win_back(
        self, convert: Callable[[Collection[str]], bytes], max_recall_drop: float
    ) -> Recovery:
        alone = Int8Converter(
            self._pruned[0],
            io=InputOutput.INT8,
            calibration=self._calibration,
            correction=Correction.NONE,
        )
        harms = rank_layers(
            alone, reference=self._float_model, images=self._judged, reporter=self._reporter
        )
        return win_back_recall(
            convert,
            harms,
            score=self._score_validation,
            time_cpu=lambda data: time_cpu(data, self._judged[0]),
            reference=self._stored("validation"),
            threshold=self._run.threshold,
            max_recall_drop=max_recall_drop,
        )

    def _score_validation(self, data: bytes) -> PredictionSet:
        records = self._order.sides["validation"]
        with TFLiteClassifier(data, name="the export", runtime=Runtime.LITERT) as classifier:
            return predict(classifier, records, reporter=self._reporter, label="validation")

    def _int8_qat(self) -> Conversion:
        settings, network = self._settings, self._pruned[0]
        ranges = measure_ranges(network, self._calibration.batches())
        corrected = correct_biases(
            network, self._calibration.sample(), rounding=round_to_int8, ranges=ranges
        )
        tuned = tune_quantised(
            corrected,
            ranges,
            Lesson(
                train=self._order.sides["train"],
                validation=self._order.sides["validation"],
                train_scores=self._stored("train"),
                validation_scores=self._stored("validation"),
                threshold=self._run.threshold,
                seed=settings.seed,
            ),
            settings.tuning,
            output=settings.output,
            checkpoint_folder=self._order.checkpoint_folder,
            cache_folder=self._order.cache_folder,
            reporter=self._reporter,
        )
        data = convert_tuned(tuned, io=settings.io, output=settings.output)
        errors = self._layer_errors(data)
        notes = {"best_epoch": tuned.best_epoch, "cached_up_to": tuned.cut}
        return Conversion(
            data=data,
            notes=notes,
            layer_errors=errors,
            history=tuned.history,
            float_layers=float_layers_of(settings.output),
        )

    @cached_property
    def _float_model(self) -> bytes:
        """What the int8 files compute, in float32: up to the logit where they end there."""
        network = self._pruned[0]
        if self._settings.output is Output.LOGIT:
            network = without_sigmoid(network)
        return convert_network(network, Mode.FLOAT32, io=InputOutput.FLOAT32, calibration=None)

    def _layer_errors(self, data: bytes) -> tuple[LayerError, ...]:
        return measure_layer_errors(self._float_model, data, self._judged)

    @cached_property
    def _judged(self) -> NDArray[np.uint8]:
        records = self._calibration.records
        step = max(1, len(records) // JUDGED_IMAGES)
        return np.stack([read_image(record.path) for record in records[::step]])

    def _stored(self, side: str) -> PredictionSet:
        return read_predictions(self._run.folder / f"predictions_{side}.csv")
