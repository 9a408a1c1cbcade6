"""What `bench` and `demo` do: from a run with exports to a parity report."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from edge_melanoma.artifacts import (
    ConvertedModel,
    TrainedModel,
    find_run,
    open_converted,
    write_atomically,
    write_json,
)
from edge_melanoma.benchmarks.latency import LatencySamples, time_keras, time_tflite
from edge_melanoma.benchmarks.parity import (
    MeasuredCandidate,
    MeasuredModel,
    ParityContract,
    ParityReport,
    judge,
    read_contract,
)
from edge_melanoma.benchmarks.quality import compare
from edge_melanoma.benchmarks.tables import explain_candidates, render_markdown, render_terminal
from edge_melanoma.classifiers import KerasClassifier, TFLiteClassifier, choose_runtime
from edge_melanoma.environment import cpu_name, package_version
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation import describe_dataset
from edge_melanoma.images import read_image
from edge_melanoma.interpreters import SessionSettings
from edge_melanoma.lesions import LesionRecord
from edge_melanoma.metrics import measure, measure_intervals
from edge_melanoma.predictions import (
    PredictionSet,
    predict,
    predictions_to_csv,
    read_predictions,
)
from edge_melanoma.progress import Reporter, TerminalReporter
from edge_melanoma.run_data import read_external_set, read_test_side
from edge_melanoma.runtimes import Runtime

CONTAMINATED_RATIO = 1.2
"""On one thread, wall time this far above CPU time means that others had the core."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityOrder:
    """All that a person asked of `bench`."""

    run: Path | None = None
    data: Path | None = None
    contract: Path | None = None
    runs: int = 100
    warmup: int = 10
    threads: int = 1
    interpreter: Runtime | None = None
    limit: int | None = None
    json: Path | None = None


def run_parity(order: ParityOrder) -> ParityReport:
    """Measure, print the table, write the files and return the report."""
    reporter = TerminalReporter()
    run = find_run(order.run)
    exports = _open_exports(run)
    contract = read_contract(order.contract) if order.contract else ParityContract()
    runtime = choose_runtime(order.interpreter)
    records = _records(order, run, reporter)
    bench = _Bench(order=order, run=run, runtime=runtime, records=records, reporter=reporter)
    load = os.getloadavg()[0]
    reference, reference_scores = bench.measure_reference()
    measured = [bench.measure_export(model) for model in exports]
    candidates = tuple(
        judge(
            model,
            compare(reference_scores, scores, threshold=run.threshold),
            reference=reference,
            contract=contract,
        )
        for model, scores in measured
    )
    name = str(run.manifest["dataset"]["name"]) + ", test side"
    report = ParityReport(
        dataset=describe_dataset(order.data.resolve().name if order.data else name, records),
        threshold=run.threshold,
        threshold_source="validation",
        machine=_describe_machine(load, candidates),
        contract=contract,
        reference=reference,
        candidates=candidates,
    )
    scores = {"keras": reference_scores} | {model.mode: scores for model, scores in measured}
    _write(report, scores, _bench_folder(order, run), json=order.json)
    _show(report)
    return report


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bench:
    """Runs one model after another over the same pictures."""

    order: ParityOrder
    run: TrainedModel
    runtime: Runtime
    records: tuple[LesionRecord, ...]
    reporter: Reporter

    def measure_reference(self) -> tuple[MeasuredModel, PredictionSet]:
        """Keras where TensorFlow is installed, else the scores that the training stored."""
        latency: LatencySamples | None = None
        if package_version("tensorflow") is None:
            scores = self._stored_scores()
        else:
            from edge_melanoma.network import load_network

            classifier = KerasClassifier(load_network(self.run))
            scores = predict(classifier, self.records, reporter=self.reporter, label="Keras")
            latency = time_keras(
                self.run.folder,
                read_image(self.records[0].path),
                runs=self.order.runs,
                warmup=self.order.warmup,
                threads=self.order.threads,
            )
        size = self.run.weights_path.stat().st_size
        return self._measured("keras", "keras", size, self.run.sha256, scores, latency), scores

    def measure_export(self, model: ConvertedModel) -> tuple[MeasuredModel, PredictionSet]:
        """One exported file: scores on all cores, then latency on the asked number of threads."""
        name = model.path.name
        with TFLiteClassifier(model.data, name=name, runtime=self.runtime) as classifier:
            scores = predict(classifier, self.records, reporter=self.reporter, label=model.mode)
        latency = time_tflite(
            SessionSettings(
                data=model.data, name=name, runtime=self.runtime, threads=self.order.threads
            ),
            read_image(self.records[0].path),
            runs=self.order.runs,
            warmup=self.order.warmup,
        )
        runtime = self.runtime.value
        measured = self._measured(
            runtime, model.mode, model.size_bytes, model.sha256, scores, latency
        )
        return measured, scores

    def _measured(
        self,
        runtime: str,
        mode: str,
        size_bytes: int,
        sha256: str,
        scores: PredictionSet,
        latency: LatencySamples | None,
    ) -> MeasuredModel:
        return MeasuredModel(
            runtime=runtime,
            mode=mode,
            size_bytes=size_bytes,
            sha256=sha256,
            metrics=measure(scores, threshold=self.run.threshold),
            intervals=measure_intervals(scores, threshold=self.run.threshold),
            latency=latency,
        )

    def _stored_scores(self) -> PredictionSet:
        if self.order.data is not None:
            raise EdgeMelanomaError(
                "bench --data needs the package tensorflow for the reference, which is not "
                "installed; install it with: pip install 'edge-melanoma[train]'"
            )
        self.reporter.say("TensorFlow is not installed: the reference is as the training stored it")
        stored = read_predictions(self.run.folder / "predictions_test.csv")
        position = {image_id: number for number, image_id in enumerate(stored.image_ids)}
        chosen = [position[record.image_id] for record in self.records]
        return PredictionSet(
            image_ids=tuple(record.image_id for record in self.records),
            labels=stored.labels[chosen],
            scores=stored.scores[chosen],
        )


def _open_exports(run: TrainedModel) -> list[ConvertedModel]:
    paths = sorted(run.exports_folder.glob("model_*.tflite"))
    if not paths:
        raise EdgeMelanomaError(
            f"The run {run.folder} has no exported model; make one with: edge-melanoma export "
            f"{run.folder} --quantize int8"
        )
    models = [open_converted(path) for path in paths]
    for model in models:
        if model.manifest.get("source_sha256", run.sha256) != run.sha256:
            raise EdgeMelanomaError(
                f"{model.path} was exported from other weights than the run's; "
                f"export it again with --force."
            )
    # float files first, each kind by size: conversion loss is read before quantisation loss.
    return sorted(models, key=lambda model: (not model.mode.startswith("float"), -model.size_bytes))


def _records(order: ParityOrder, run: TrainedModel, reporter: Reporter) -> tuple[LesionRecord, ...]:
    if order.data is None:
        records = read_test_side(run)
    else:
        records = read_external_set(order.data, run, reporter=reporter)
    return spread(records, limit=order.limit)


def spread(records: tuple[LesionRecord, ...], *, limit: int | None) -> tuple[LesionRecord, ...]:
    """At most `limit` records, evenly spaced in the order of the set."""
    if limit is None or limit >= len(records):
        return records
    return tuple(records[number * len(records) // limit] for number in range(limit))


def _describe_machine(load: float, candidates: tuple[MeasuredCandidate, ...]) -> dict[str, Any]:
    latencies = [candidate.model.latency for candidate in candidates if candidate.model.latency]
    waited = any(
        samples.percentile_ms(50) > CONTAMINATED_RATIO * samples.cpu_p50_ms
        for samples in latencies
        if samples.threads == 1
    )
    cores = os.cpu_count() or 1
    return {
        "cpu": cpu_name(),
        "cores": cores,
        "load": load,
        "contaminated": waited or load > cores,
    }


def _bench_folder(order: ParityOrder, run: TrainedModel) -> Path:
    folder = run.folder / "bench"
    return folder / order.data.resolve().name if order.data else folder


def _write(
    report: ParityReport, scores: dict[str, PredictionSet], folder: Path, *, json: Path | None
) -> None:
    for name, predictions in scores.items():
        write_atomically(folder / f"predictions_{name}.csv", predictions_to_csv(predictions))
    write_atomically(folder / "parity.md", render_markdown(report))
    for path in (folder / "parity.json", json):
        if path is not None:
            write_json(path, report.as_dict())


def _show(report: ParityReport) -> None:
    console = Console(width=None if Console().is_terminal else 130)
    for table in render_terminal(report):
        console.print(table)
    for line in explain_candidates(report):
        console.print(line, markup=False, highlight=False)
