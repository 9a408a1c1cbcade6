"""What `evaluate` does: one model, one data set, metrics with intervals."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from edge_melanoma.artifacts import (
    MANIFEST,
    ConvertedModel,
    TrainedModel,
    open_converted,
    open_run,
    write_json,
)
from edge_melanoma.bundled import bundled_model, is_bundled
from edge_melanoma.classifiers import KerasClassifier, TFLiteClassifier, choose_runtime
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation import (
    CONVENTIONAL_THRESHOLD,
    describe_dataset,
    evaluate_predictions,
)
from edge_melanoma.lesions import LesionRecord
from edge_melanoma.predictions import PredictionSet, predict
from edge_melanoma.progress import Reporter, TerminalReporter
from edge_melanoma.run_data import read_external_set, read_test_side
from edge_melanoma.runtimes import Runtime


def evaluate_model(
    path: Path,
    *,
    data: Path | None,
    threshold: float | None,
    interpreter: Runtime | None,
    json: Path | None,
) -> dict[str, Any]:
    """Score, measure, print, and write JSON where it is asked for."""
    reporter = TerminalReporter()
    run, converted = open_model(path)
    records = _records(run, path, data, reporter)
    name = data.resolve().name if data else f"{run.manifest['dataset']['name']}, test side"  # type: ignore[union-attr]  # without data, _records needs the run
    told = _describe_model(path, run, converted, interpreter)
    predictions = _score(run, converted, records, interpreter, reporter)
    chosen, source = _threshold(threshold, run, converted)
    result = {
        "schema": 1,
        "model": told,
        "dataset": describe_dataset(name, records),
        "threshold_source": source,
        **evaluate_predictions(predictions, threshold=chosen),
    }
    _show(result)
    if json is not None:
        write_json(json, result)
    return result


def open_model(path: Path) -> tuple[TrainedModel | None, ConvertedModel | None]:
    """A run folder; or a .tflite file, with the run around it where it lies in one's exports.

    The word `bundled` is the int8 file in the package.
    """
    if is_bundled(path):
        path = bundled_model()
    if path.is_dir() or path.suffix != ".tflite":
        return open_run(path), None
    converted = open_converted(path)
    folder = path.resolve().parent.parent
    run = open_run(folder) if (folder / MANIFEST).is_file() else None
    return run, converted


def _records(
    run: TrainedModel | None, path: Path, data: Path | None, reporter: Reporter
) -> tuple[LesionRecord, ...]:
    if data is not None:
        return read_external_set(data, run, reporter=reporter)
    if run is None:
        raise EdgeMelanomaError(
            f"{path} is not in a run folder; say what to score with --data DIR."
        )
    return read_test_side(run)


def _score(
    run: TrainedModel | None,
    converted: ConvertedModel | None,
    records: tuple[LesionRecord, ...],
    interpreter: Runtime | None,
    reporter: Reporter,
) -> PredictionSet:
    if converted is not None:
        runtime = choose_runtime(interpreter)
        with TFLiteClassifier(converted.data, name=converted.path.name, runtime=runtime) as tflite:
            return predict(tflite, records, reporter=reporter, label=converted.mode)
    if run is None:
        raise ValueError("neither a run nor a converted model")
    from edge_melanoma.network import load_network

    return predict(KerasClassifier(load_network(run)), records, reporter=reporter, label="Keras")


def _threshold(
    asked: float | None, run: TrainedModel | None, converted: ConvertedModel | None
) -> tuple[float, str]:
    if asked is not None:
        return asked, "--threshold"
    if converted is not None and "threshold" in converted.manifest:
        return float(converted.manifest["threshold"]), "validation"
    if run is not None:
        return run.threshold, "validation"
    return CONVENTIONAL_THRESHOLD, "convention"


def _describe_model(
    path: Path,
    run: TrainedModel | None,
    converted: ConvertedModel | None,
    interpreter: Runtime | None,
) -> dict[str, object]:
    if converted is not None:
        return {
            "file": path.name,
            "mode": converted.mode,
            "runtime": choose_runtime(interpreter).value,
            "sha256": converted.sha256,
            "size_bytes": converted.size_bytes,
        }
    if run is None:
        raise ValueError("neither a run nor a converted model")
    return {
        "file": run.folder.name,
        "mode": "keras",
        "runtime": "keras",
        "variant": run.variant,
        "sha256": run.sha256,
    }


def _show(result: dict[str, Any]) -> None:
    data, model = result["dataset"], result["model"]
    table = Table(
        title=f"{model['file']} ({model['mode']}) on {data['name']}: {data['images']} images, "
        f"{data['malignant']} malignant; threshold {result['threshold']:.4f} "
        f"from {result['threshold_source']}",
        caption="Research only, not a medical device.",
    )
    for column in ("metric", "value", "95 % interval"):
        table.add_column(column)
    for name, value in result["metrics"].items():
        bounds = result["intervals"].get(name)
        interval = f"{bounds[0]:.4f} .. {bounds[1]:.4f}" if bounds else "undefined"
        table.add_row(name, f"{value:.4f}", interval)
    console = Console(width=None if Console().is_terminal else 140)
    console.print(table)
    counts = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in result["confusion"].items())
    console.print(counts, highlight=False)
