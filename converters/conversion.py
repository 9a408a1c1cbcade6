"""From a run's weights to the bytes of its exports: what the child process of an export does."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.converters.calibration import CalibrationSet
from edge_melanoma.converters.float_layers import rank_layers, time_cpu, win_back_recall
from edge_melanoma.converters.gate import CONVOLUTION, attach_gate
from edge_melanoma.converters.layer_errors import measure_layer_errors
from edge_melanoma.converters.networks.bias_correction import (
    Ranges,
    correct_biases,
    measure_ranges,
)
from edge_melanoma.converters.networks.equalization import equalize_channels
from edge_melanoma.converters.networks.learned_rounding import round_kernel
from edge_melanoma.converters.networks.pruning import prune_dead_channels
from edge_melanoma.converters.networks.rewriting import fold_batch_norm, without_sigmoid
from edge_melanoma.converters.packing import seal_model, slim_model
from edge_melanoma.converters.quantization_aware import (
    Lesson,
    convert_quantised,
    find_shift,
    float_layers_of,
    make_quantised,
    shift_logits,
    tune_quantised,
)
from edge_melanoma.converters.settings import Conversion, Job
from edge_melanoma.converters.tflite import Int8Converter, convert_network
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.predictions import PredictionSet, predict, read_predictions
from edge_melanoma.machine.tensorflow import make_deterministic, tf
from edge_melanoma.machine.terminal import Reporter, TerminalReporter
from edge_melanoma.network.gate import read_gate
from edge_melanoma.network.network import load_network
from edge_melanoma.network.recipes import Variant
from edge_melanoma.runs.models import TrainedModel, open_run
from edge_melanoma.runs.pictures import read_side
from edge_melanoma.runtime.classifiers import KerasClassifier, TFLiteClassifier
from edge_melanoma.runtime.names import Runtime
from edge_melanoma.tflite.modes import Backend, Correction, Mode, Output

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
        return dict(converter.convert_all(job.modes))
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
        self._gate = read_gate(self._run)
        self._sides = dict(self._read_sides())

    def _read_sides(self) -> Iterator[tuple[str, tuple[LesionRecord, ...]]]:
        """The pictures that are learned from, and those that int8 files are aligned by."""
        modes = self._job.modes
        tunes = Mode.INT8_QAT in modes
        if tunes:
            yield "train", read_side(self._run, "train")
        if tunes or self._settings.max_recall_drop is not None:
            yield "validation", read_side(self._run, "validation")
        elif Mode.INT8 in modes:
            # Without them the file is made all the same.
            with suppress(EdgeMelanomaError):
                yield "validation", read_side(self._run, "validation")

    @property
    def _calibration(self) -> CalibrationSet:
        if self._job.calibration is None:
            raise ValueError("a mode that rounds weights needs a calibration set")
        return self._job.calibration

    @cached_property
    def _equalised(self) -> Any:
        """What the int8 files compute, but for the layer that a gate looks at."""
        spared = {CONVOLUTION} if self._gate else set()
        return equalize_channels(self._pruned[0], self._calibration.batches(), spared=spared)

    def _network_of(self, mode: Mode) -> Any:
        """The folded network of a mode; the stock converter's stays as it is."""
        is_stock = self._settings.correction is Correction.NONE and mode is Mode.INT8
        return self._pruned[0] if is_stock else self._equalised

    @cached_property
    def _pruned(self) -> tuple[Any, dict[str, int]]:
        folded = fold_batch_norm(self._network)
        spared = {CONVOLUTION} if self._gate else set()
        return prune_dead_channels(folded, self._calibration.batches(), spared=spared)

    def convert_all(self, modes: tuple[Mode, ...]) -> Iterator[tuple[Mode, Conversion]]:
        """Each in turn, and which of how many it is."""
        for number, mode in enumerate(modes, start=1):
            self._reporter.say(f"Converting to {mode}, file {number} of {len(modes)}")
            yield mode, self.convert(mode)

    def convert(self, mode: Mode) -> Conversion:
        """One file, as small as it can be written, with a hash of itself inside."""
        notes = {}
        if mode is Mode.FLOAT32:
            conversion = Conversion(data=self._convert_plainly(self._network, mode))
        else:
            if mode.is_full_int8:
                conversion = self._int8() if mode is Mode.INT8 else self._int8_qat()
                reference = self._float_model(mode)
                errors = measure_layer_errors(reference, conversion.data, self._judged)
                conversion = replace(conversion, layer_errors=errors)
            else:
                conversion = Conversion(data=self._convert_plainly(self._pruned[0], mode))
            notes = {"pruned_channels": self._pruned[1]}
        data = slim_model(conversion.data)
        if self._gate is not None:
            data = attach_gate(data, self._gate)
        return replace(
            conversion,
            data=seal_model(data),
            notes={**notes, **conversion.notes},
        )

    def _convert_plainly(self, network: Any, mode: Mode) -> bytes:
        calibration = None if mode is Mode.FLOAT32 else self._calibration
        return convert_network(network, mode, calibration=calibration, settings=self._settings)

    def _int8(self) -> Conversion:
        settings = self._settings
        limit = settings.max_recall_drop
        if limit is not None:
            return self._int8_within(limit)
        by_stock = settings.correction is Correction.NONE or settings.backend is Backend.LITERT
        if by_stock or self._run.variant == Variant.IMPORTED:
            network = self._network_of(Mode.INT8)
            converter = Int8Converter(network, self._calibration, settings)
            return Conversion(data=slim_model(converter.convert()))
        corrected, ranges = self._corrected
        quantised = make_quantised(corrected, ranges, output=settings.output)
        return self._aligned(quantised)

    def _int8_within(self, limit: float) -> Conversion:
        """The int8 file with as many float layers as the limit of the drop of recall takes."""
        network, settings = self._network_of(Mode.INT8), self._settings
        converter = Int8Converter(network, self._calibration, settings)
        uncorrected = replace(settings, correction=Correction.NONE)
        harms = rank_layers(
            Int8Converter(network, self._calibration, uncorrected),
            reference=self._float_model(Mode.INT8),
            images=self._judged,
            reporter=self._reporter,
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

    @cached_property
    def _corrected(self) -> tuple[Any, Ranges]:
        """Kernels and biases for int8, where a tuning starts too, and the ranges they are for."""
        ranges = measure_ranges(self._equalised, self._calibration.batches())
        rounding = partial(round_kernel, dense_by_unit=False)
        sample = self._calibration.sample()
        return correct_biases(self._equalised, sample, rounding=rounding, ranges=ranges), ranges

    def _aligned(self, quantised: Any) -> Conversion:
        """The file of a fake-quantised network whose decisions lean to no side on validation."""
        settings = self._settings

        def convert() -> bytes:
            return convert_quantised(
                quantised, io=settings.io, output=settings.output, views=settings.views
            )

        data, shift = convert(), 0.0
        if "validation" in self._sides:
            scores = self._score_validation(data)
            reference = self._stored("validation")
            shift = find_shift(reference, scores, threshold=self._run.threshold)
            shift_logits(quantised, shift)
            data = convert()
        return Conversion(
            data=data,
            notes={"logit_shift": shift},
            float_layers=float_layers_of(settings.output),
        )

    def _score_validation(self, data: bytes) -> PredictionSet:
        side = "validation"
        with TFLiteClassifier(data, name="the export", runtime=Runtime.LITERT) as classifier:
            return predict(classifier, self._sides[side], reporter=self._reporter, label=side)

    def _int8_qat(self) -> Conversion:
        corrected, ranges = self._corrected
        tuned = tune_quantised(
            corrected,
            ranges,
            Lesson(
                train=self._sides["train"],
                validation=self._sides["validation"],
                train_scores=self._one_view("train"),
                validation_scores=self._one_view("validation"),
                threshold=self._run.threshold,
                seed=self._settings.seed,
            ),
            self._settings.tuning,
            output=self._settings.output,
            checkpoint_folder=self._job.checkpoint_folder,
            cache_folder=self._job.cache_folder,
            reporter=self._reporter,
        )
        conversion = self._aligned(tuned.network)
        notes = {
            "best_epoch": tuned.best_epoch,
            "quantised_as": (Mode.INT8_QAT if tuned.best_epoch else Mode.INT8).value,
            "cached_up_to": tuned.cut,
        }
        return replace(conversion, notes={**conversion.notes, **notes}, history=tuned.history)

    def _float_model(self, mode: Mode) -> bytes:
        """What an int8 file computes, in float32: up to the logit where it ends there."""
        network = self._network_of(mode)
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
