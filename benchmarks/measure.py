"""All models of a bench measured: their scores on all cores, then their times in turn."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_melanoma.benchmarks.parity.scoring import REFERENCE, Scoring, write_scores
from edge_melanoma.benchmarks.parity.verdict import MeasuredModel
from edge_melanoma.benchmarks.sections import Column, ReportSection, section_of
from edge_melanoma.benchmarks.settings import TimingSettings
from edge_melanoma.benchmarks.timing.cold_start import STARTS, measure_cold_start
from edge_melanoma.benchmarks.timing.in_turn import runs_a_pass, time_in_turn
from edge_melanoma.benchmarks.timing.latency import describe_doubts, describe_machine
from edge_melanoma.benchmarks.timing.models import TimedModel
from edge_melanoma.benchmarks.timing.tables import ModelTiming, invocation_section, whole_section
from edge_melanoma.data.images import read_image
from edge_melanoma.evaluation.evaluation import format_share
from edge_melanoma.evaluation.metrics import measure, measure_intervals
from edge_melanoma.evaluation.predictions import PredictionSet
from edge_melanoma.evaluation.reliability import measure_reliability
from edge_melanoma.evaluation.risk_coverage import HEADER, measure_risk_coverage, risk_cells
from edge_melanoma.evaluation.sources import measure_within
from edge_melanoma.machine.environment import package_version


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was found: models and scores by mode, the reference under `keras`."""

    models: Mapping[str, MeasuredModel]
    scores: Mapping[str, PredictionSet]
    machine: Mapping[str, Any]
    sections: tuple[ReportSection, ...]


def measure_models(scoring: Scoring, *, timing: TimingSettings) -> Measured:
    """Score and time the trained network and its exports."""
    load = os.getloadavg()[0]
    scores = scoring.score()
    timings = _time_models(scoring, timing)
    machine = describe_machine(
        load, [turn.samples for timing in timings.values() for turn in timing.turns]
    )
    sizes = {REFERENCE: (scoring.run.weights_path.stat().st_size, scoring.run.sha256)} | {
        model.mode: (model.size_bytes, model.sha256) for model in scoring.exports
    }
    models = {
        mode: MeasuredModel(
            runtime=REFERENCE if mode == REFERENCE else scoring.runtime.value,
            mode=mode,
            size_bytes=size_bytes,
            sha256=sha256,
            metrics=measure(scores[mode], threshold=scoring.run.threshold),
            intervals=measure_intervals(scores[mode], threshold=scoring.run.threshold),
            calibration=measure_reliability(scores[mode]),
            latency=timings[mode].main if mode in timings else None,
            timing=timings.get(mode),
        )
        for mode, (size_bytes, sha256) in sizes.items()
    }
    invocations = invocation_section(timings, doubts=describe_doubts(machine))
    sections = invocations, whole_section(timings)
    return Measured(models=models, scores=scores, machine=machine, sections=sections)


def keep_finished(scoring: Scoring, folder: Path) -> str:
    """After an interruption: the predictions that were finished go into a folder; what to say."""
    if not scoring.finished:
        return "interrupted before any model was finished; nothing was kept."
    write_scores(folder, scoring.finished)
    return (
        f"interrupted; the predictions of {', '.join(scoring.finished)} are kept in the bench "
        f"folder of {scoring.run.folder}, in unfinished, and no report was made."
    )


def _time_models(scoring: Scoring, settings: TimingSettings) -> dict[str, ModelTiming]:
    """Everything that can be run here, by mode."""
    models: dict[str, TimedModel] = {}
    if package_version("tensorflow") is not None:
        models[REFERENCE] = scoring.run.folder
    models |= scoring.session_settings()
    paths = [record.path for record in scoring.records]
    turns = [
        time_in_turn(models, paths, settings=settings, threads=threads, say=scoring.reporter.say)
        for threads in settings.threads
    ]
    image, reporter = read_image(paths[0], size=scoring.run.image_size), scoring.reporter
    starts = min(STARTS, runs_a_pass(settings))
    cold = {
        mode: measure_cold_start(model, image, threads=settings.threads[0], starts=starts)
        for mode, model in reporter.track(models.items(), label="Cold starts", total=len(models))
    }
    return {
        mode: ModelTiming(
            turns=tuple(turn[mode] for turn in turns), cold_start=cold[mode], settings=settings
        )
        for mode in models
    }


WITHIN: tuple[Column, ...] = (
    ("model", "{0[mode]}"),
    ("source", "{0[source]}"),
    ("recall", lambda row: format_share(row["recall"])),
    ("specificity", lambda row: format_share(row["specificity"])),
    ("AUC", lambda row: format_share(row["auc"])),
    ("AUC drop", lambda row: "" if row["drop"] is None else f"{row['drop']:+.4f}"),
    ("melanomas", "{0[malignant]}"),
    ("benign", "{0[benign]}"),
)


def risk_section(
    scores: Mapping[str, PredictionSet], thresholds: Mapping[str, float]
) -> ReportSection:
    """What is wrong of the surest answers, a row a model and coverage.

    In parity.json, `risk_coverage` has by mode what `evaluate --json` says of it.
    """
    content = {
        mode: measure_risk_coverage(found, threshold=thresholds[mode])
        for mode, found in scores.items()
    }
    return ReportSection(
        title="Risk over coverage: what is wrong if the least sure pictures get no answer",
        columns=("model", *HEADER),
        rows=tuple(
            (mode, *risk_cells(row)) for mode, told in content.items() for row in told["rows"]
        ),
        note="Each model at its own threshold; sure is what lies far from it.",
        key="risk_coverage",
        content=content,
    )


def within_section(
    scores: Mapping[str, PredictionSet], thresholds: Mapping[str, float]
) -> ReportSection:
    """A row a model and source, each model at its own of `thresholds`; the reference comes first.

    In parity.json, `within_source` has by mode what `evaluate --json` says of sources.
    """
    content = {
        mode: measure_within(found, threshold=thresholds[mode]) for mode, found in scores.items()
    }
    reference = next(iter(content.values()))["within_source"]
    rows: list[dict[str, Any]] = []
    for mode, told in content.items():
        for name, found in told["within_source"].items():
            before = reference[name]["auc"]
            drop = None if before is None else before - found["auc"]
            rows.append({**found, "mode": mode, "source": name, "drop": drop})
    return section_of(
        "Melanomas against benign lesions of the same source",
        WITHIN,
        rows,
        note="Each model at its own threshold.",
        key="within_source",
        content=content,
    )
