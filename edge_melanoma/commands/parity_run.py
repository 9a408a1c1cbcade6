"""What `bench` and `demo` do: from a run with exports to a parity report."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from edge_melanoma.artifacts import (
    ConvertedModel,
    TrainedModel,
    find_run,
    open_converted,
    write_atomically,
    write_json,
)
from edge_melanoma.benchmarks.parity import (
    ParityContract,
    ParityReport,
    judge,
    read_contract,
)
from edge_melanoma.benchmarks.quality import Comparison, compare
from edge_melanoma.benchmarks.round_robin import TimingSettings
from edge_melanoma.benchmarks.scoring import REFERENCE, Scoring
from edge_melanoma.benchmarks.tables import explain_candidates, render_markdown, render_terminal
from edge_melanoma.classifiers import choose_runtime
from edge_melanoma.commands.measurement import measure_models, score_tensor_of
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation import describe_dataset
from edge_melanoma.lesions import LesionRecord
from edge_melanoma.predictions import (
    PredictionSet,
    predictions_to_csv,
)
from edge_melanoma.progress import Reporter, TerminalReporter
from edge_melanoma.run_data import read_external_set, read_test_side
from edge_melanoma.runtimes import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityOrder:
    """All that a person asked of `bench`."""

    run: Path | None = None
    data: Path | None = None
    contract: Path | None = None
    timing: TimingSettings = field(default_factory=TimingSettings)
    interpreter: Runtime | None = None
    limit: int | None = None
    json: Path | None = None


def run_parity(order: ParityOrder) -> ParityReport:
    """Measure, print the table, write the files and return the report."""
    reporter = TerminalReporter()
    run = find_run(order.run)
    exports = _open_exports(run)
    contract = read_contract(order.contract) if order.contract else ParityContract()
    scoring = _make_scoring(order, run, reporter)
    folder = _bench_folder(order, run)
    measured = measure_models(
        scoring, exports, timing=order.timing, store=lambda scores: _write_scores(scores, folder)
    )
    reference = measured.models[REFERENCE]
    candidates = tuple(
        judge(
            measured.models[export.mode],
            _compare(measured.scores, export, threshold=run.threshold),
            reference=reference,
            contract=contract,
        )
        for export in exports
    )
    name = str(run.manifest["dataset"]["name"]) + ", test side"
    report = ParityReport(
        dataset=describe_dataset(
            order.data.resolve().name if order.data else name, scoring.records
        ),
        threshold=run.threshold,
        threshold_source="validation",
        machine=measured.machine,
        contract=contract,
        reference=reference,
        candidates=candidates,
        sections=measured.sections,
    )
    _write_scores(measured.scores, folder)
    _write(report, folder, json=order.json)
    _show(report)
    return report


def _make_scoring(order: ParityOrder, run: TrainedModel, reporter: Reporter) -> Scoring:
    return Scoring(
        run=run,
        runtime=choose_runtime(order.interpreter),
        records=_records(order, run, reporter),
        is_test_side=order.data is None,
        reporter=reporter,
    )


def _compare(
    scores: Mapping[str, PredictionSet], export: ConvertedModel, *, threshold: float
) -> Comparison:
    output = score_tensor_of(export.manifest)
    return compare(scores[REFERENCE], scores[export.mode], threshold=threshold, output=output)


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


def _bench_folder(order: ParityOrder, run: TrainedModel) -> Path:
    folder = run.folder / "bench"
    return folder / order.data.resolve().name if order.data else folder


def _write_scores(scores: Mapping[str, PredictionSet], folder: Path) -> str:
    for name, predictions in scores.items():
        write_atomically(folder / f"predictions_{name}.csv", predictions_to_csv(predictions))
    return str(folder)


def _write(report: ParityReport, folder: Path, *, json: Path | None) -> None:
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
