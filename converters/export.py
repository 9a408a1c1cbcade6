"""A run's exports: each converted, read back, audited and written with its manifest beside it.

Each gets an operating point from its own scores of the validation side: quantisation moves scores,
so that the network's threshold gives a file another recall than the one asked for; and an integer
output has only its own steps to put a threshold between.
"""

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from edge_melanoma.converters.audit import LARGEST_INT8_BYTES, audit_model
from edge_melanoma.converters.calibration import CalibrationSet, draw_calibration_set
from edge_melanoma.converters.layer_errors import draw_layer_errors
from edge_melanoma.converters.model_info import describe_gate, embed_model_info
from edge_melanoma.converters.settings import Conversion, ExportSettings, Job
from edge_melanoma.data.images import RESIZE_ID, UnreadableImageError
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation import thresholds
from edge_melanoma.evaluation.drift import make_reference, values_of
from edge_melanoma.evaluation.predictions import (
    PredictionSet,
    make_prediction_set,
    predictions_to_csv,
    read_predictions,
)
from edge_melanoma.evaluation.promises import Demand
from edge_melanoma.machine import files
from edge_melanoma.machine.environment import describe_determinism, describe_environment
from edge_melanoma.machine.processes import run_in_child
from edge_melanoma.machine.schemas import read_json
from edge_melanoma.machine.terminal import Reporter, TerminalReporter
from edge_melanoma.network.recipes import Variant
from edge_melanoma.runs.folders import hold_run, refuse_unwritable
from edge_melanoma.runs.manifests import ExportManifest, read_split
from edge_melanoma.runs.models import GATE, MANIFEST, ConvertedModel, TrainedModel, open_converted
from edge_melanoma.runs.options import keep_options
from edge_melanoma.runs.own_files import remember_own
from edge_melanoma.runs.pictures import read_run_records, read_side
from edge_melanoma.runs.recorded_files import hashes_of
from edge_melanoma.runtime.classifiers import TFLiteClassifier, choose_runtime
from edge_melanoma.runtime.interpreters import Answer
from edge_melanoma.runtime.names import Runtime
from edge_melanoma.tflite.inspection import inspect_model
from edge_melanoma.tflite.modes import Mode
from edge_melanoma.tflite.quantization import ScoreTensor, score_tensor_of
from edge_melanoma.training.activations import default_cache_folder

SIDE = "validation"
UNFINISHED = "int8-qat.unfinished"
"""Below the exports: where a tuning that was cut off is gone on with."""


def export_run(
    run: TrainedModel,
    modes: tuple[Mode, ...],
    *,
    settings: ExportSettings,
    cache_folder: Path | None = None,
    force: bool,
    options: Mapping[str, Any] = MappingProxyType({}),
) -> list[ConvertedModel]:
    """Convert, read back, audit and write one file and manifest a mode.

    A file that was made with the same settings from the same weights is kept. Each file gets an
    operating point of its own, if the run's validation pictures are there. `options` are those of
    the command, which the folder of the exports keeps.

    Raises:
        EdgeMelanomaError: a file of other settings is there and `force` is off; an audit failed.
    """
    settings.refuse_contradictions(modes)
    _refuse_imported(run, modes, settings)
    settings = replace(settings, views=run.views)
    with hold_run(run.folder):
        refuse_unwritable(run.exports_folder / MANIFEST)
        exported = _export(run, modes, settings, cache_folder or default_cache_folder(), force)
        models = list(exported)
        keep_options(run.exports_folder, "export", options)
        return models


def _refuse_imported(run: TrainedModel, modes: tuple[Mode, ...], settings: ExportSettings) -> None:
    """What is made for the networks of the recipes alone."""
    asked = {"--quantize int8-qat": Mode.INT8_QAT in modes, "--with-map": settings.with_map}
    for option, is_asked in asked.items():
        if is_asked and run.variant == Variant.IMPORTED:
            raise EdgeMelanomaError(
                f"{option} is for networks that were trained here, and {run.folder} was imported; "
                f"leave it out."
            )


def path_of(run: TrainedModel, mode: Mode) -> Path:
    """Where a run's export in one mode lies."""
    return run.exports_folder / f"model_{mode.value}.tflite"


def _export(
    run: TrainedModel,
    modes: tuple[Mode, ...],
    settings: ExportSettings,
    cache_folder: Path,
    force: bool,
) -> Iterator[ConvertedModel]:
    calibration = None
    if any(mode.rounds_weights for mode in modes):
        calibration = draw_calibration_set(
            read_run_records(run),
            split=read_split(run.folder),
            images=settings.calibration_images,
            seed=settings.seed,
            size=run.image_size,
        )
    origins = {mode: _origin(run, mode, settings, calibration) for mode in modes}
    missing = tuple(m for m in modes if not _is_there(run, m, origins[m], force=force))
    if force:
        shutil.rmtree(run.exports_folder / UNFINISHED, ignore_errors=True)
    job = Job(
        folder=run.folder,
        modes=missing,
        settings=settings,
        calibration=calibration,
        checkpoint_folder=run.exports_folder / UNFINISHED,
        cache_folder=cache_folder,
    )
    start = time.perf_counter()
    converted = run_in_child(_convert_in_child, job) if missing else {}
    seconds = (time.perf_counter() - start) / max(1, len(missing))
    scores = ValidationScores(run, TerminalReporter())
    for mode in modes:
        if mode in converted:
            _write(run, mode, converted[mode], origins[mode], settings, seconds=seconds)
        yield complete_operating_point(run, open_converted(path_of(run, mode)), scores)
    shutil.rmtree(run.exports_folder / UNFINISHED, ignore_errors=True)


def _convert_in_child(job: Job) -> Mapping[Mode, Conversion]:
    from edge_melanoma.converters.conversion import convert_modes

    return convert_modes(job)


def _origin(
    run: TrainedModel, mode: Mode, settings: ExportSettings, calibration: CalibrationSet | None
) -> dict[str, Any]:
    """What decides the bytes of an export, as its manifest keeps it."""
    return settings.of_mode(mode) | {
        "variant": run.variant,
        "source_sha256": run.sha256,
        "calibration": calibration.as_dict() if calibration and mode.rounds_weights else None,
        "gate_sha256": run.manifest["files"].get(GATE, {}).get("sha256"),
    }


def _is_there(run: TrainedModel, mode: Mode, origin: dict[str, Any], *, force: bool) -> bool:
    path = path_of(run, mode)
    if force or not path.exists():
        return False
    manifest = open_converted(path).manifest
    if any(manifest.get(key) != value for key, value in origin.items()):
        raise EdgeMelanomaError(
            f"{path} was made with other settings; replace it with --force, or move it away."
        )
    return True


def _write(
    run: TrainedModel,
    mode: Mode,
    conversion: Conversion,
    origin: dict[str, Any],
    settings: ExportSettings,
    *,
    seconds: float,
) -> None:
    data = conversion.data
    facts = inspect_model(data)
    audit_model(
        facts,
        mode=mode,
        io=settings.io,
        output=settings.output,
        float_layers=conversion.float_layers,
        data=data,
        # The limit is that of the recipes' width.
        largest_bytes=None if run.variant == Variant.IMPORTED else LARGEST_INT8_BYTES,
    )
    path = path_of(run, mode)
    data = embed_model_info(
        run, data, file=path.name, mode=mode.value, threshold=run.threshold, point=None
    )
    manifest = {
        "schema": 1,
        **origin,
        **conversion.notes,
        "file": path.name,
        "sha256": files.sha256_of(data),
        "size_bytes": len(data),
        "companions": hashes_of(path.parent, _write_companions(path, conversion)),
        "resize": RESIZE_ID,
        "input": facts.input.as_dict() | {"shape": list(facts.input_shape), "colour": "RGB"},
        "output": facts.output.as_dict() | {"name": facts.output_name},
        "gate": describe_gate(run, facts),
        "threshold": run.threshold,
        "operating_point": None,
        "facts": asdict(facts),
        "seconds": seconds,
        "determinism": describe_determinism(settings.seed) if settings.deterministic else None,
        "environment": describe_environment(),
    }
    files.write_together({path: data, path.with_suffix(".json"): files.json_text(manifest)})
    remember_own(manifest["sha256"])
    forget_operating_point(path)


def _write_companions(path: Path, conversion: Conversion) -> list[Path]:
    """The errors of the layers in int8, as a table and a picture, and the epochs of a tuning."""
    written: list[Path] = []
    if conversion.layer_errors:
        table, picture = path.with_suffix(".layers.csv"), path.with_suffix(".layers.png")
        files.write_atomically(table, files.rows_to_csv(list(map(asdict, conversion.layer_errors))))
        title = f"{path.name}: error of each layer against float32, on calibration images"
        draw_layer_errors(conversion.layer_errors, picture, title=title)
        written += [table, picture]
    if conversion.history:
        history = path.with_suffix(".history.csv")
        files.write_atomically(history, files.rows_to_csv(conversion.history))
        written.append(history)
    return written


class ValidationScores:
    """Scores of a run's exports on its validation side; each file's are kept beside it."""

    def __init__(self, run: TrainedModel, reporter: Reporter) -> None:
        self._run, self._reporter = run, reporter

    def of(self, model: ConvertedModel) -> PredictionSet | None:
        """Those kept, or else made now; none, and the reason said, where pictures are missing.

        With the scores the counts of what the pictures measure are put into the manifest.

        Raises:
            EdgeMelanomaError: the file has no manifest, or no interpreter runs here.
        """
        _output_of(model)
        path, noted = _scores_path(model.path), model.manifest.get("validation_scores")
        noted = None if _lacks_counts(model) else noted
        kept = files.sha256_of(path.read_bytes()) if noted and path.is_file() else None
        if noted and kept == noted["sha256"]:
            return read_predictions(path)
        if self._records is None:
            return None
        runtime = choose_runtime(None)
        answers = self._answer(model, runtime, self._records)
        numbers = np.array([answer.score for answer in answers], np.float64)
        scores = make_prediction_set(self._records, numbers)
        counts = make_reference(values_of(answers), scores.origins) if model.gate else None
        told = predictions_to_csv(scores)
        files.write_atomically(path, told)
        noted = {"sha256": files.sha256_of(told.encode()), "runtime": runtime.value}
        # By what is in it now: it may have changed since the model was opened.
        manifest = {**open_converted(model.path).manifest, "validation_scores": noted}
        files.write_json(model.path.with_suffix(".json"), manifest | {"counts": counts})
        return scores

    def _answer(
        self, model: ConvertedModel, runtime: Runtime, records: Sequence[LesionRecord]
    ) -> list[Answer]:
        label, paths = f"{model.mode} on validation", [record.path for record in records]
        with TFLiteClassifier(
            model.data, name=model.path.name, runtime=runtime, gate=model.gate
        ) as classifier:
            stream = self._reporter.track(
                classifier.stream_answers(paths), label=label, total=len(paths)
            )
            return [_readable(answer) for answer in stream]

    @cached_property
    def _records(self) -> tuple[LesionRecord, ...] | None:
        try:
            return read_side(self._run, SIDE)
        except EdgeMelanomaError as error:
            self._reporter.say(f"Exports keep the run's own threshold. {error}")
            return None


def derive_operating_point(
    model: ConvertedModel,
    scores: PredictionSet,
    *,
    min_recall: float | None = None,
    demand: Demand | None = None,
) -> thresholds.FileOperatingPoint:
    """The point that reaches the recall on the file's own scores, on the grid of its output.

    With a demand, the two thresholds that keep it.
    """
    chosen = thresholds.choose_point(scores, min_recall=min_recall, demand=demand)
    return thresholds.snap_to_output(chosen.point, _output_of(model), chosen.promise)


def save_operating_point(
    run: TrainedModel, model: ConvertedModel, point: thresholds.FileOperatingPoint
) -> ConvertedModel:
    """Put the point into the file and into its manifest, which `predict` and `evaluate` go by."""
    return _embed(run, model, point.as_dict())


def _embed(run: TrainedModel, model: ConvertedModel, point: Mapping[str, Any]) -> ConvertedModel:
    """With the point, the counts that the manifest has."""
    path = model.path.with_suffix(".json")
    manifest = read_json(path, ExportManifest)
    data = embed_model_info(
        run,
        model.data,
        file=model.path.name,
        mode=model.mode,
        threshold=point["threshold"],
        point=point,
        counts=manifest.get("counts"),
    )
    manifest |= {"threshold": point["threshold"], "operating_point": point}
    manifest |= {"sha256": files.sha256_of(data), "size_bytes": len(data)}
    files.write_together({model.path: data, path: files.json_text(manifest)})
    if model.is_vouched_for:
        remember_own(manifest["sha256"])
    return open_converted(model.path)


def complete_operating_point(
    run: TrainedModel, model: ConvertedModel, scores: ValidationScores
) -> ConvertedModel:
    """The model with an operating point at the run's recall target, unless it has one already.

    And with counts of validation pictures, if it has a gate.
    """
    told = model.manifest.get("operating_point")
    is_complete = told is not None and not _lacks_counts(model)
    found = None if is_complete else scores.of(model)
    if found is None:
        return model
    if told is not None:
        return _embed(run, model, told)
    min_recall = run.manifest["operating_point"].get("min_recall")
    point = derive_operating_point(model, found, min_recall=min_recall)
    return save_operating_point(run, model, point)


def forget_operating_point(path: Path) -> None:
    """Remove the scores of a file that has been replaced."""
    _scores_path(path).unlink(missing_ok=True)


def _lacks_counts(model: ConvertedModel) -> bool:
    return model.gate is not None and "counts" not in model.manifest


def _readable(answer: Answer | UnreadableImageError) -> Answer:
    if isinstance(answer, UnreadableImageError):
        raise answer
    return answer


def _output_of(model: ConvertedModel) -> ScoreTensor:
    output = score_tensor_of(model.manifest)
    if output is None:
        raise EdgeMelanomaError(
            f"{model.path} has no manifest beside it, which says what its output means; "
            f"export it again."
        )
    return output


def _scores_path(path: Path) -> Path:
    return path.with_suffix(".validation.csv")
