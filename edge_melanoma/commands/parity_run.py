"""What `bench` and `demo` do: from a run with exports to a parity report."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from edge_melanoma.artifacts import (
    ConvertedModel,
    TrainedModel,
    open_exports,
    write_atomically,
    write_json,
)
from edge_melanoma.benchmarks.outside_tables import describe_sets
from edge_melanoma.benchmarks.own_thresholds import add_own_figures, explain_own_figures
from edge_melanoma.benchmarks.parity import (
    ParityContract,
    ParityReport,
    judge,
    read_contract,
)
from edge_melanoma.benchmarks.quality import Comparison, compare
from edge_melanoma.benchmarks.tables import explain_candidates, render_markdown, render_terminal
from edge_melanoma.bundled import find_run_or_bundled
from edge_melanoma.classifiers import choose_runtime
from edge_melanoma.commands.measurement import (
    Measurement,
    TimingSettings,
    describe_machine,
)
from edge_melanoma.commands.outside_run import measure_outside, refuse_missing_reference
from edge_melanoma.environment import package_version
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation import describe_dataset
from edge_melanoma.external_sets import (
    ExternalSet,
    learned_by_run,
    read_external_set,
    read_external_sets,
)
from edge_melanoma.fingerprints import default_fingerprint_folder
from edge_melanoma.lesions import LesionRecord
from edge_melanoma.predictions import (
    PredictionSet,
    predictions_to_csv,
)
from edge_melanoma.progress import Reporter, TerminalReporter
from edge_melanoma.quantization import score_tensor_of
from edge_melanoma.run_data import describe_own_side, read_test_side
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
    external: Mapping[str, Path] = field(default_factory=dict)


def run_parity(order: ParityOrder) -> ParityReport:
    """Measure, print the table, write the files and return the report."""
    reporter = TerminalReporter()
    run = find_run_or_bundled(order.run)
    exports = _open_exports(run)
    contract = read_contract(order.contract) if order.contract else ParityContract()
    refuse_missing_reference(order.external)
    records, dataset = _judged_set(order, run, reporter)
    external = _external_sets(order, run, reporter)
    measurement = _make_measurement(order, run, records, reporter)
    load = os.getloadavg()[0]
    reference, reference_scores = measurement.reference()
    measured = [measurement.export(model) for model in exports]
    candidates = tuple(
        judge(
            model,
            _compare(reference_scores, scores, export, threshold=run.threshold),
            reference=reference,
            contract=contract,
        )
        for export, (model, scores) in zip(exports, measured, strict=True)
    )
    report = ParityReport(
        dataset=dataset,
        threshold=run.threshold,
        threshold_source="validation",
        machine=describe_machine(load, candidates),
        contract=contract,
        reference=reference,
        candidates=candidates,
        external=measure_outside(
            run, exports, external, runtime=measurement.runtime, reporter=reporter
        ),
    )
    scores = {"keras": reference_scores} | {model.mode: scores for model, scores in measured}
    told = add_own_figures(report.as_dict(), scores, exports)
    _write(report, told, scores, _bench_folder(order, run), json=order.json)
    _show(report)
    for line in explain_own_figures(told):
        print(line)
    return report


def _make_measurement(
    order: ParityOrder, run: TrainedModel, records: tuple[LesionRecord, ...], reporter: Reporter
) -> Measurement:
    return Measurement(
        run=run,
        runtime=choose_runtime(order.interpreter),
        records=records,
        is_test_side=order.data is None,
        timing=order.timing,
        reporter=reporter,
    )


def _compare(
    reference: PredictionSet, scores: PredictionSet, export: ConvertedModel, *, threshold: float
) -> Comparison:
    output = score_tensor_of(export.manifest)
    return compare(reference, scores, threshold=threshold, output=output)


def _open_exports(run: TrainedModel) -> list[ConvertedModel]:
    models = open_exports(run)
    if not models:
        raise EdgeMelanomaError(
            f"The run {run.folder} has no exported model; make one with: edge-melanoma export "
            f"{run.folder} --quantize int8"
        )
    # float files first, each kind by size: conversion loss is read before quantisation loss.
    return sorted(models, key=lambda model: (not model.mode.startswith("float"), -model.size_bytes))


def _judged_set(
    order: ParityOrder, run: TrainedModel, reporter: Reporter
) -> tuple[tuple[LesionRecord, ...], dict[str, Any]]:
    """The pictures of --data, or of the run's test side, and their dataset block."""
    if order.data is None:
        records = spread(read_test_side(run), limit=order.limit)
        return records, describe_own_side(run, "test", records)
    found = read_external_set(
        order.data,
        learned_by_run(run),
        reporter=reporter,
        cache_folder=default_fingerprint_folder(),
    )
    records = spread(found.records, limit=order.limit)
    return records, describe_dataset(found.name, records, card=found.card)


def _external_sets(
    order: ParityOrder, run: TrainedModel, reporter: Reporter
) -> tuple[ExternalSet, ...]:
    if not order.external:
        return ()
    found = read_external_sets(
        order.external,
        learned_by_run(run),
        reporter=reporter,
        cache_folder=default_fingerprint_folder(),
    )
    return tuple(replace(one, records=spread(one.records, limit=order.limit)) for one in found)


def spread(records: tuple[LesionRecord, ...], *, limit: int | None) -> tuple[LesionRecord, ...]:
    """At most `limit` records, evenly spaced in the order of the set."""
    if limit is None or limit >= len(records):
        return records
    return tuple(records[number * len(records) // limit] for number in range(limit))


def _bench_folder(order: ParityOrder, run: TrainedModel) -> Path:
    folder = run.folder / "bench"
    return folder / order.data.resolve().name if order.data else folder


def _write(
    report: ParityReport,
    told: dict[str, Any],
    scores: dict[str, PredictionSet],
    folder: Path,
    *,
    json: Path | None,
) -> None:
    for name, predictions in scores.items():
        write_atomically(folder / f"predictions_{name}.csv", predictions_to_csv(predictions))
    write_atomically(folder / "parity.md", render_markdown(report))
    for path in (folder / "parity.json", json):
        if path is not None:
            write_json(path, told)
    _draw_reliability(scores, folder / "reliability.png", dataset=str(report.dataset["name"]))


def _draw_reliability(scores: dict[str, PredictionSet], path: Path, *, dataset: str) -> None:
    """The trained network and its int8 files, where matplotlib is installed."""
    if package_version("matplotlib") is None:
        return
    from edge_melanoma.figures import draw_reliability

    shown = {mode: found for mode, found in scores.items() if mode in {"keras", "int8", "int8-qat"}}
    draw_reliability(shown, path, dataset=dataset)


def _show(report: ParityReport) -> None:
    console = Console(width=None if Console().is_terminal else 130)
    for table in render_terminal(report):
        console.print(table)
    for line in (*explain_candidates(report), *describe_sets(report)):
        console.print(line, markup=False, highlight=False)
