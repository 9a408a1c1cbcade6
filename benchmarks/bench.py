"""`bench`: from a run with exports to a parity report."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from edge_melanoma.benchmarks.measure import (
    Measured,
    keep_finished,
    measure_models,
    risk_section,
    within_section,
)
from edge_melanoma.benchmarks.parity.answers import answers_section, compare_answers_of
from edge_melanoma.benchmarks.parity.comparison import compare
from edge_melanoma.benchmarks.parity.contract import Contracts, refuse_unmet_sections
from edge_melanoma.benchmarks.parity.contract_file import draft_contract, read_contracts
from edge_melanoma.benchmarks.parity.outside import measure_outside, refuse_missing_reference
from edge_melanoma.benchmarks.parity.scoring import REFERENCE, Scoring
from edge_melanoma.benchmarks.parity.statistics import study_drops
from edge_melanoma.benchmarks.parity.verdict import MeasuredCandidate, ParityReport
from edge_melanoma.benchmarks.report import text
from edge_melanoma.benchmarks.report.page import (
    PAGE,
    PARITY,
    UNFINISHED,
    make_thumbnails,
    write_bench,
)
from edge_melanoma.benchmarks.settings import BenchCopies, StudySettings, TimingSettings
from edge_melanoma.benchmarks.studies.studies import Studies, prepare_studies
from edge_melanoma.data.labels import AS_FOUND, Reading
from edge_melanoma.data.lesions import count_classes
from edge_melanoma.data.screening import default_fingerprint_folder
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation import judged_pictures
from edge_melanoma.evaluation.predictions import PredictionSet
from edge_melanoma.machine.files import write_atomically, write_result
from edge_melanoma.machine.ray import RayWorkers
from edge_melanoma.machine.terminal import (
    Reporter,
    TerminalReporter,
    print_lines,
    print_table,
    results_console,
)
from edge_melanoma.runs.bundled import find_run_or_bundled
from edge_melanoma.runs.converted import ConvertedModel, open_exports
from edge_melanoma.runs.folders import hold_run, refuse_unwritable
from edge_melanoma.runs.models import TrainedModel
from edge_melanoma.runs.options import keep_options
from edge_melanoma.runs.recorded_files import record_bench
from edge_melanoma.runtime.names import Runtime
from edge_melanoma.runtime.trial import choose_runtime
from edge_melanoma.tflite.delegates import Target, left_to_cpu
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
    reading: Reading = AS_FOUND,
    limit: int | None = None,
    contract: Path | None = None,
    draft: Path | None = None,
    timing: TimingSettings | None = None,
    studies: StudySettings | None = None,
    interpreter: Runtime | None = None,
    copies: BenchCopies | None = None,
    ray: RayWorkers | None = None,
    full: bool = False,
    options: Mapping[str, Any] = MappingProxyType({}),
) -> ParityReport:
    """Measure, write the files, print the answer and return the report.

    `data` is another set than the run's test side, `external` are further ones by name that no
    contract holds on; of each at most `limit` pictures are taken. Without `contract` the defaults
    hold. A contract that the run keeps is written to `draft`. With `ray`, its actors score the
    pictures; times are taken here. All tables are printed if `full`. `options` are those of the
    command, which the folder of the bench keeps.

    Raises:
        EdgeMelanomaError: something that was asked for cannot be had; told before any long work.
    """
    trained = find_run_or_bundled(run)
    folder, copies = bench_folder_of(trained, data, limit), copies or BenchCopies()
    with hold_run(trained.folder):
        refuse_unwritable(folder / PARITY, copies.json, copies.html, copies.junit, draft)
        _refuse_existing(draft)
        reporter = TerminalReporter()
        contracts = Contracts()
        if contract is not None:
            reporter.say(f"The contract is {contract}")
            contracts = read_contracts(contract)
        asked = studies or StudySettings()
        if contracts.needs_stability:
            asked = replace(asked, stability=True)
        prepared = prepare_studies(asked, image_size=trained.image_size)
        exports = open_benched_models(trained)
        refuse_unmet_sections(contracts, trained, exports)
        refuse_missing_reference(external)
        benched, others = _read_pictures(trained, data, external, reading, limit, reporter)
        scoring = Scoring(
            run=trained,
            exports=exports,
            runtime=choose_runtime(interpreter),
            records=benched.records,
            is_test_side=data is None,
            reporter=reporter,
            ray=ray,
        )
        measured, report = _measure(
            scoring,
            benched,
            others,
            contracts=contracts,
            timing=timing or TimingSettings(),
            studies=prepared,
            folder=folder,
        )
        parity = report.as_dict()
        _write_all(folder, parity, measured.scores, benched, copies=copies)
        keep_options(folder, "bench", options)
        record_bench(folder, source_sha256=trained.sha256)
        if draft is not None:
            write_atomically(draft, draft_contract(parity))
            reporter.say(f"Wrote the contract {draft}")
    if not write_result(copies.json, parity):
        _show(parity, run=trained.folder, page=folder / PAGE, full=full)
    return report


def bench_folder_of(run: TrainedModel, data: Path | None, limit: int | None = None) -> Path:
    """Where the bench of the run's test side is, or that of another data set.

    One of some pictures alone lies beside it, and does not take its place.
    """
    folder = run.folder / ("bench" if limit is None else f"bench-limit-{limit}")
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
    reading: Reading,
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
            data,
            learned,
            reading.of(None, data.resolve().name),
            reporter=reporter,
            cache_folder=cache,
        )
    others = judged_pictures.read_external_sets(
        external, learned, reading, reporter=reporter, cache_folder=cache
    )
    benched = benched.limited(limit)
    for name, count in zip(("benign", "malignant"), count_classes(benched.records), strict=True):
        if not count:
            raise EdgeMelanomaError(
                f"{benched.name} has no {name} images; recall and specificity need both classes: "
                f"bench it on images of both."
            )
    return benched, [found.limited(limit) for found in others]


def _measure(
    scoring: Scoring,
    benched: judged_pictures.JudgedPictures,
    others: Sequence[judged_pictures.JudgedPictures],
    *,
    contracts: Contracts,
    timing: TimingSettings,
    studies: Studies,
    folder: Path,
) -> tuple[Measured, ParityReport]:
    """Score, time and judge; what is scored before an interruption is kept below `folder`."""
    run = scoring.run
    thresholds = {model.mode: _own_threshold(model, run) for model in scoring.exports}
    try:
        measured = measure_models(scoring, timing=timing)
        own = {REFERENCE: run.threshold, **thresholds}
        told = within_section(measured.scores, own), risk_section(measured.scores, own)
        sections = studies.run(scoring, timing=timing, sections=measured.sections)
        outside = measure_outside(scoring, others, folder)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(keep_finished(scoring, folder / UNFINISHED)) from None
    stability = {
        one["mode"]: one
        for section in sections
        if section.key == "stability"
        for one in section.content["models"]
    }
    exports = scoring.reporter.track(
        scoring.exports, label="Statistics", total=len(scoring.exports)
    )
    candidates = tuple(
        replace(_judge(measured, one, scoring, contracts), stability=stability.get(one.mode))
        for one in exports
    )
    answers = {one.model.mode: one.decisions for one in candidates if one.decisions}
    report = ParityReport(
        dataset=benched.dataset,
        threshold=run.threshold,
        machine=measured.machine,
        contracts=contracts,
        reference=measured.models[REFERENCE],
        candidates=candidates,
        sections=(*answers_section(answers), *told, *sections),
        external=outside,
    )
    return measured, report


def _own_threshold(export: ConvertedModel, run: TrainedModel) -> float:
    return float(export.manifest.get("threshold", run.threshold))


def _judge(
    measured: Measured, export: ConvertedModel, scoring: Scoring, contracts: Contracts
) -> MeasuredCandidate:
    comparison = compare(
        measured.scores[REFERENCE],
        measured.scores[export.mode],
        threshold=scoring.run.threshold,
        output=score_tensor_of(export.manifest),
    )
    facts = inspect_model(export.data)
    return MeasuredCandidate(
        model=measured.models[export.mode],
        reference=measured.models[REFERENCE],
        comparison=comparison,
        statistics=study_drops(comparison),
        contract=contracts.of(export.mode),
        manifest=export.manifest,
        is_full_int8=set(facts.tensor_types) <= WHOLE_NUMBERS,
        fallback_ops=sum(left_to_cpu(facts.operators, Target.GPU).values()),
        without_score=scoring.without_score[export.mode],
        decisions=compare_answers_of(export, scoring.run, *comparison.scores),
        gate=scoring.compare_gates(export.mode),
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


def _show(parity: Mapping[str, Any], *, run: Path, page: Path, full: bool) -> None:
    console = results_console(width=180)
    if full:
        for table in text.terminal_tables(parity):
            print_table(console, table)
        for line in [text.describe_proof(parity), *text.describe_notes(parity)]:
            console.print(line)
    print_lines(console, *text.describe_answer(parity, width=console.width))
    print_lines(console, *text.describe_next(parity, run=run, page=page))
