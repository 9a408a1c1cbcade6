"""What `bench` and `demo` do: from a run with exports to a parity report.

The models that `bench` compares: a run's network and its exports.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from edge_melanoma.benchmarks.measure import Measured, finished_kept, measure_models
from edge_melanoma.benchmarks.parity.comparison import compare
from edge_melanoma.benchmarks.parity.contract import (
    Contracts,
    choose_contracts,
    refuse_undefined_rules,
    refuse_unmet_sections,
)
from edge_melanoma.benchmarks.parity.contract_draft import draft_contract
from edge_melanoma.benchmarks.parity.outside import measure_outside, refuse_missing_reference
from edge_melanoma.benchmarks.parity.scoring import REFERENCE, Scoring
from edge_melanoma.benchmarks.parity.statistics import Findings, study_candidate
from edge_melanoma.benchmarks.parity.verdict import (
    MeasuredCandidate,
    ParityReport,
    add_own_figures,
    explain_own_figures,
    judge,
)
from edge_melanoma.benchmarks.report.folder import (
    PARITY,
    UNFINISHED,
    BenchCopies,
    write_bench,
    write_scores,
)
from edge_melanoma.benchmarks.report.page import make_thumbnails
from edge_melanoma.benchmarks.report.proof_tables import describe_proof
from edge_melanoma.benchmarks.report.tables import (
    describe_sets,
    explain_candidates,
    render_terminal,
)
from edge_melanoma.benchmarks.studies.studies import prepare_studies
from edge_melanoma.benchmarks.studies.study_options import StudyOrder
from edge_melanoma.benchmarks.timing.in_turn import TimingSettings
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.screening import default_fingerprint_folder
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.judged_pictures import (
    JudgedPictures,
    learned_by_run,
    read_external_set,
    read_external_sets,
    read_own_side,
)
from edge_melanoma.evaluation.predictions import PredictionSet
from edge_melanoma.machine.files import write_atomically
from edge_melanoma.machine.terminal import Reporter, TerminalReporter, results_console
from edge_melanoma.runs.bundled import find_run_or_bundled
from edge_melanoma.runs.folders import hold_run, refuse_unwritable
from edge_melanoma.runs.models import ConvertedModel, TrainedModel, open_exports
from edge_melanoma.runs.recorded_files import record_bench
from edge_melanoma.runtime.classifiers import choose_runtime
from edge_melanoma.runtime.names import Runtime
from edge_melanoma.tflite.inspection import inspect_model
from edge_melanoma.tflite.quantization import score_tensor_of


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


WHOLE_NUMBERS = frozenset({"int8", "uint8", "int32"})
"""The tensors of a file that needs no float anywhere; biases have 32 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityOrder:
    """All that a person asked of `bench`."""

    run: Path | None = None
    data: Path | None = None
    contract: Path | None = None
    draft: Path | None = None
    timing: TimingSettings = field(default_factory=TimingSettings)
    interpreter: Runtime | None = None
    limit: int | None = None
    copies: BenchCopies = field(default_factory=BenchCopies)
    studies: StudyOrder = field(default_factory=StudyOrder)
    external: Mapping[str, Path] = field(default_factory=dict)


def run_parity(order: ParityOrder) -> ParityReport:
    """Measure, print the table, write the files and return the report."""
    run = find_run_or_bundled(order.run)
    copies = order.copies
    with hold_run(run.folder):
        refuse_unwritable(
            bench_folder_of(run, order.data) / PARITY,
            *(copies.json, copies.html, copies.junit, order.draft),
        )
        return _run_held(order, run)


def _run_held(order: ParityOrder, run: TrainedModel) -> ParityReport:
    reporter = TerminalReporter()
    _refuse_existing(order.draft)
    contracts = choose_contracts(order.contract, reporter=reporter)
    studies = prepare_studies(order.studies)
    exports = open_benched_models(run)
    refuse_unmet_sections(contracts, run, exports)
    refuse_missing_reference(order.external)
    benched, external = _read_pictures(order, run, reporter)
    scoring = _make_scoring(order, run, benched.records, reporter)
    refuse_undefined_rules(contracts, exports, benched.records, name=benched.name)
    folder = bench_folder_of(run, order.data)
    with finished_kept(scoring, partial(write_scores, folder / UNFINISHED)):
        measured = measure_models(scoring, exports, timing=order.timing)
        sections = studies.run(scoring, exports, timing=order.timing, sections=measured.sections)
        outside = measure_outside(
            run, exports, external, runtime=scoring.runtime, reporter=reporter
        )
    report = ParityReport(
        dataset=benched.dataset,
        threshold=run.threshold,
        threshold_source="validation",
        machine=measured.machine,
        contracts=contracts,
        reference=measured.models[REFERENCE],
        candidates=tuple(_judge(measured, export, run, contracts) for export in exports),
        sections=sections,
        external=outside,
    )
    parity = add_own_figures(report.as_dict(), measured.scores, exports)
    _write_all(order, run, report, parity=parity, scores=measured.scores, benched=benched)
    shutil.rmtree(folder / UNFINISHED, ignore_errors=True)
    if order.draft is not None:
        write_atomically(order.draft, draft_contract(parity))
        reporter.say(f"Wrote the contract {order.draft}")
    _show(report)
    for line in explain_own_figures(parity):
        print(line)
    return report


def _read_pictures(
    order: ParityOrder, run: TrainedModel, reporter: Reporter
) -> tuple[JudgedPictures, list[JudgedPictures]]:
    """Of `--data` or of the run's test side, and of each external set, at most `--limit`."""
    learned = learned_by_run(run) if order.data or order.external else None
    cache_folder = default_fingerprint_folder()
    if order.data is None:
        benched = read_own_side(run)
    else:
        benched = read_external_set(
            order.data, learned, reporter=reporter, cache_folder=cache_folder
        )
    external = read_external_sets(
        order.external, learned, reporter=reporter, cache_folder=cache_folder
    )
    return benched.limited(order.limit), [found.limited(order.limit) for found in external]


def _write_all(
    order: ParityOrder,
    run: TrainedModel,
    report: ParityReport,
    *,
    parity: Mapping[str, Any],
    scores: Mapping[str, PredictionSet],
    benched: JudgedPictures,
) -> None:
    """The bench folder, and the copies that were asked for."""
    folder = bench_folder_of(run, order.data)
    write_bench(
        folder,
        report,
        scores,
        parity=parity,
        thumbnails=_thumbnails(report.candidates, benched.records),
        copies=order.copies,
    )
    _draw_reliability(scores, folder / "reliability.png", dataset=benched.name)
    record_bench(folder, source_sha256=run.sha256)


def bench_folder_of(run: TrainedModel, data: Path | None) -> Path:
    """Where the bench of the run's test side is, or that of another data set."""
    folder = run.folder / "bench"
    return folder / data.resolve().name if data else folder


def _make_scoring(
    order: ParityOrder, run: TrainedModel, records: tuple[LesionRecord, ...], reporter: Reporter
) -> Scoring:
    return Scoring(
        run=run,
        runtime=choose_runtime(order.interpreter),
        records=records,
        is_test_side=order.data is None,
        reporter=reporter,
    )


def _judge(
    measured: Measured, export: ConvertedModel, run: TrainedModel, contracts: Contracts
) -> MeasuredCandidate:
    reference, scores = measured.scores[REFERENCE], measured.scores[export.mode]
    output = score_tensor_of(export.manifest)
    return judge(
        measured.models[export.mode],
        compare(reference, scores, threshold=run.threshold, output=output),
        reference=measured.models[REFERENCE],
        contract=contracts.of(export.mode),
        findings=study_candidate(
            reference,
            scores,
            threshold=run.threshold,
            output=output,
            manifest=export.manifest,
            is_full_int8=set(inspect_model(export.data).tensor_types) <= WHOLE_NUMBERS,
        ),
    )


def _thumbnails(
    candidates: tuple[MeasuredCandidate, ...], records: tuple[LesionRecord, ...]
) -> dict[str, str]:
    found: list[Findings] = [one.findings for one in candidates if one.findings is not None]
    return make_thumbnails(records, [findings.flips for findings in found])


def _draw_reliability(scores: Mapping[str, PredictionSet], path: Path, *, dataset: str) -> None:
    """The trained network and its int8 files."""
    from edge_melanoma.evaluation.figures import draw_reliability

    shown = {mode: found for mode, found in scores.items() if mode in {"keras", "int8", "int8-qat"}}
    draw_reliability(shown, path, dataset=dataset)


def _refuse_existing(draft: Path | None) -> None:
    if draft is not None and draft.exists():
        raise EdgeMelanomaError(
            f"{draft} exists, and a contract is not replaced; give --write-contract another name "
            f"or remove it first."
        )


def _show(report: ParityReport) -> None:
    console = results_console(width=180)
    for table in render_terminal(report):
        console.print(table)
    for line in [
        describe_proof(report.as_dict()),
        *explain_candidates(report),
        *describe_sets(report),
    ]:
        console.print(line, markup=False, highlight=False)
