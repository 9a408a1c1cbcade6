"""`bench`: from a run with exports to a parity report."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from edge_melanoma.benchmarks.measure import Measured, keep_finished, measure_models
from edge_melanoma.benchmarks.parity.comparison import compare
from edge_melanoma.benchmarks.parity.contract import (
    Contracts,
    refuse_undefined,
    refuse_unmet_sections,
)
from edge_melanoma.benchmarks.parity.contract_file import draft_contract, read_contracts
from edge_melanoma.benchmarks.parity.findings import study_candidate
from edge_melanoma.benchmarks.parity.outside import measure_outside, refuse_missing_reference
from edge_melanoma.benchmarks.parity.scoring import REFERENCE, Scoring
from edge_melanoma.benchmarks.parity.sources import within_section
from edge_melanoma.benchmarks.parity.verdict import MeasuredCandidate, ParityReport
from edge_melanoma.benchmarks.report.page import PARITY, UNFINISHED, make_thumbnails, write_bench
from edge_melanoma.benchmarks.report.text import describe_notes, describe_proof, render_terminal
from edge_melanoma.benchmarks.settings import BenchCopies, StudySettings, TimingSettings
from edge_melanoma.benchmarks.studies.studies import Studies, prepare_studies
from edge_melanoma.data.lesions import count_classes
from edge_melanoma.data.screening import default_fingerprint_folder
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation import judged_pictures
from edge_melanoma.evaluation.predictions import PredictionSet
from edge_melanoma.machine.files import write_atomically
from edge_melanoma.machine.ray import RayWorkers
from edge_melanoma.machine.terminal import Reporter, TerminalReporter, results_console
from edge_melanoma.runs.bundled import find_run_or_bundled
from edge_melanoma.runs.folders import hold_run, refuse_unwritable
from edge_melanoma.runs.models import ConvertedModel, TrainedModel, open_exports
from edge_melanoma.runs.recorded_files import record_bench
from edge_melanoma.runtime.classifiers import choose_runtime
from edge_melanoma.runtime.names import Runtime
from edge_melanoma.tflite.inspection import inspect_model
from edge_melanoma.tflite.quantization import score_tensor_of

WHOLE_NUMBERS = frozenset({"int8", "uint8", "int32"})
"""The tensors of a file that needs no float anywhere; biases have 32 bits."""
DRAWN = frozenset({REFERENCE, "int8", "int8-qat"})
"""Whose calibration is drawn."""


def run_bench(
    run: Path | None = None,
    *,
    data: Path | None = None,
    external: Mapping[str, Path] = MappingProxyType({}),
    limit: int | None = None,
    contract: Path | None = None,
    draft: Path | None = None,
    timing: TimingSettings | None = None,
    studies: StudySettings | None = None,
    interpreter: Runtime | None = None,
    copies: BenchCopies | None = None,
    ray: RayWorkers | None = None,
) -> ParityReport:
    """Measure, print the tables, write the files and return the report.

    `data` is another set than the run's test side, `external` are further ones by name that no
    contract holds on; of each at most `limit` pictures are taken. Without `contract` the defaults
    hold. A contract that the run keeps is written to `draft`. With `ray`, its actors score the
    pictures; times are taken here.

    Raises:
        EdgeMelanomaError: something that was asked for cannot be had; told before any long work.
    """
    trained = find_run_or_bundled(run)
    folder, copies = bench_folder_of(trained, data), copies or BenchCopies()
    with hold_run(trained.folder):
        refuse_unwritable(folder / PARITY, copies.json, copies.html, copies.junit, draft)
        _refuse_existing(draft)
        reporter = TerminalReporter()
        contracts = Contracts()
        if contract is not None:
            reporter.say(f"The contract is {contract}")
            contracts = read_contracts(contract)
        prepared = prepare_studies(studies or StudySettings())
        exports = open_benched_models(trained)
        refuse_unmet_sections(contracts, trained, exports)
        refuse_missing_reference(external)
        benched, others = _read_pictures(trained, data, external, limit, reporter)
        scoring = Scoring(
            run=trained,
            exports=exports,
            runtime=choose_runtime(interpreter),
            records=benched.records,
            is_test_side=data is None,
            reporter=reporter,
            ray=ray,
        )
        benign, malignant = count_classes(benched.records)
        modes = [model.mode for model in exports]
        refuse_undefined(contracts, modes, name=benched.name, benign=benign, malignant=malignant)
        measured, report = _measure(
            scoring,
            benched,
            others,
            contracts=contracts,
            timing=timing or TimingSettings(),
            studies=prepared,
            unfinished=folder / UNFINISHED,
        )
        parity = report.as_dict()
        _write_all(folder, parity, measured.scores, benched, copies=copies)
        record_bench(folder, source_sha256=trained.sha256)
        if draft is not None:
            write_atomically(draft, draft_contract(parity))
            reporter.say(f"Wrote the contract {draft}")
    _show(parity)
    return report


def bench_folder_of(run: TrainedModel, data: Path | None) -> Path:
    """Where the bench of the run's test side is, or that of another data set."""
    folder = run.folder / "bench"
    return folder / data.resolve().name if data else folder


def open_benched_models(run: TrainedModel) -> list[ConvertedModel]:
    """The run's exports; float files first, each kind by size.

    So conversion loss is read before quantisation loss.

    Raises:
        EdgeMelanomaError: the run has none.
    """
    models = open_exports(run)
    if not models:
        raise EdgeMelanomaError(
            f"The run {run.folder} has no exported model; make one with: edge-melanoma export "
            f"{run.folder} --quantize int8"
        )
    return sorted(models, key=lambda model: (not model.mode.startswith("float"), -model.size_bytes))


def _refuse_existing(draft: Path | None) -> None:
    if draft is not None and draft.exists():
        raise EdgeMelanomaError(
            f"{draft} exists, and a contract is not replaced; give --write-contract another name "
            f"or remove it first."
        )


def _read_pictures(
    run: TrainedModel,
    data: Path | None,
    external: Mapping[str, Path],
    limit: int | None,
    reporter: Reporter,
) -> tuple[judged_pictures.JudgedPictures, list[judged_pictures.JudgedPictures]]:
    """Of `data` or of the run's test side, and of each external set, at most `limit`."""
    learned = judged_pictures.learned_by_run(run) if data or external else None
    cache = default_fingerprint_folder()
    if data is None:
        benched = judged_pictures.read_own_side(run)
    else:
        benched = judged_pictures.read_external_set(
            data, learned, reporter=reporter, cache_folder=cache
        )
    others = judged_pictures.read_external_sets(
        external, learned, reporter=reporter, cache_folder=cache
    )
    return benched.limited(limit), [found.limited(limit) for found in others]


def _measure(
    scoring: Scoring,
    benched: judged_pictures.JudgedPictures,
    others: Sequence[judged_pictures.JudgedPictures],
    *,
    contracts: Contracts,
    timing: TimingSettings,
    studies: Studies,
    unfinished: Path,
) -> tuple[Measured, ParityReport]:
    """Score, time and judge; what is scored before an interruption is kept in `unfinished`."""
    run = scoring.run
    thresholds = {model.mode: _own_threshold(model, run) for model in scoring.exports}
    try:
        measured = measure_models(scoring, timing=timing)
        within = within_section(measured.scores, {REFERENCE: run.threshold, **thresholds})
        sections = studies.run(scoring, timing=timing, sections=measured.sections)
        outside = measure_outside(scoring, others)
    except KeyboardInterrupt:
        keep_finished(scoring, unfinished)
        raise
    report = ParityReport(
        dataset=benched.dataset,
        threshold=run.threshold,
        machine=measured.machine,
        contracts=contracts,
        reference=measured.models[REFERENCE],
        candidates=tuple(_judge(measured, export, run, contracts) for export in scoring.exports),
        sections=(within, *sections),
        external=outside,
    )
    return measured, report


def _own_threshold(export: ConvertedModel, run: TrainedModel) -> float:
    return float(export.manifest.get("threshold", run.threshold))


def _judge(
    measured: Measured, export: ConvertedModel, run: TrainedModel, contracts: Contracts
) -> MeasuredCandidate:
    comparison = compare(
        measured.scores[REFERENCE],
        measured.scores[export.mode],
        threshold=run.threshold,
        output=score_tensor_of(export.manifest),
    )
    return MeasuredCandidate(
        model=measured.models[export.mode],
        reference=measured.models[REFERENCE],
        comparison=comparison,
        contract=contracts.of(export.mode),
        findings=study_candidate(
            comparison,
            manifest=export.manifest,
            is_full_int8=set(inspect_model(export.data).tensor_types) <= WHOLE_NUMBERS,
        ),
    )


def _write_all(
    folder: Path,
    parity: Mapping[str, Any],
    scores: Mapping[str, PredictionSet],
    benched: judged_pictures.JudgedPictures,
    *,
    copies: BenchCopies,
) -> None:
    from edge_melanoma.evaluation.figures import draw_reliability

    thumbnails = make_thumbnails(benched.records, parity["candidates"])
    write_bench(folder, parity, scores, thumbnails=thumbnails, copies=copies)
    shown = {mode: found for mode, found in scores.items() if mode in DRAWN}
    draw_reliability(shown, folder / "reliability.png", dataset=benched.name)
    shutil.rmtree(folder / UNFINISHED, ignore_errors=True)


def _show(parity: Mapping[str, Any]) -> None:
    console = results_console(width=180)
    for table in render_terminal(parity):
        console.print(table)
    for line in [describe_proof(parity), *describe_notes(parity)]:
        console.print(line, markup=False, highlight=False)
