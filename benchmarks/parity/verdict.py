"""The verdict: each candidate held against its contract, and the report that tells of it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edge_melanoma.benchmarks.parity.comparison import Comparison
from edge_melanoma.benchmarks.parity.contract import (
    MARGINS,
    Contracts,
    Measured,
    ParityContract,
)
from edge_melanoma.benchmarks.parity.findings import Findings
from edge_melanoma.benchmarks.sections import ReportSection, contents_of
from edge_melanoma.benchmarks.timing.latency import LatencySamples
from edge_melanoma.benchmarks.timing.tables import ModelTiming
from edge_melanoma.data.images import RESIZE_ID
from edge_melanoma.evaluation.metrics import Interval, Metrics
from edge_melanoma.evaluation.reliability import Reliability

MEGABYTE = 1e6
DEFAULT_PROOF_MARGIN = 0.005
"""Half a point: what is asked of the pictures where the contract names no drop."""
LARGEST_PROOF_MARGIN = 0.1
"""A `max_recall_drop` above it stands for no limit, and is not worth excluding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredModel:
    """One model's figures; `latency` is none where the model cannot be run here.

    `timing` holds what else was timed: more threads, end to end, cold start.
    """

    runtime: str
    mode: str
    size_bytes: int
    sha256: str
    metrics: Metrics
    intervals: Mapping[str, Interval]
    calibration: Reliability
    latency: LatencySamples | None
    timing: ModelTiming | None = None

    def as_dict(self) -> dict[str, Any]:
        """For parity.json."""
        return self.figures() | {"calibration": self.calibration.as_dict()}

    def figures(self) -> dict[str, Any]:
        """All but the calibration, which stands last, of a candidate after its comparison too."""
        times = self.timing or self.latency
        return {
            "runtime": self.runtime,
            "mode": self.mode,
            "size_bytes": self.size_bytes,
            "sha256": self.sha256,
            "metrics": self.metrics.as_dict(),
            "intervals": {name: list(bounds) for name, bounds in self.intervals.items()},
            "latency_ms": times.as_dict() if times else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredCandidate:
    """A candidate, how it compares, what became of every rule of its contract, and what it missed.

    `findings` is none where only the metrics were compared.
    """

    model: MeasuredModel
    comparison: Comparison
    latency_ratio: float | None
    contract: ParityContract
    checks: Sequence[Mapping[str, Any]]
    failures: Sequence[str]
    findings: Findings | None = None

    @property
    def verdict(self) -> str:
        """pass or fail."""
        return "fail" if self.failures else "pass"

    def as_dict(self) -> dict[str, Any]:
        """For parity.json."""
        comparison, found = self.comparison, self._findings_as_dict()
        noninferiority = found.pop("noninferiority", {})
        part = {"partial_auc": noninferiority["partial_auc"]["drop"]} if noninferiority else {}
        return self.model.figures() | {
            "drop": comparison.drops() | part,
            "agreement": comparison.agreement,
            "max_score_difference": comparison.max_score_difference,
            "mean_score_difference": comparison.mean_score_difference,
            "flips": comparison.flips.counts(),
            "flipped_images": asdict(comparison.flips),
            "ties_at_threshold": comparison.ties,
            "distinct_scores": comparison.distinct_scores,
            "tests": {
                "mcnemar_p": comparison.mcnemar_p,
                "mcnemar_p_malignant": found.pop("mcnemar_p_malignant", None),
                "recall_drop_upper95": comparison.recall_drop_upper95,
                "noninferiority": noninferiority,
            },
            "latency_ratio": self.latency_ratio,
            "verdict": self.verdict,
            "failures": list(self.failures),
            "checks": list(self.checks),
            **found,
            "calibration": self.model.calibration.as_dict(),
        }

    def _findings_as_dict(self) -> dict[str, Any]:
        if self.findings is None:
            return {}
        margins = self.contract.margins()
        limit = self.contract.max_recall_drop
        allowed = limit if 0 < limit <= LARGEST_PROOF_MARGIN else DEFAULT_PROOF_MARGIN
        return self.findings.as_dict(margins, margin=margins["recall"] or allowed)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityReport:
    """A reference and its candidates on the same pictures, and what they were measured with.

    `external` holds the same models on data sets from elsewhere; the contract is not for these.
    """

    dataset: Mapping[str, Any]
    threshold: float
    threshold_source: str
    machine: Mapping[str, Any]
    contracts: Contracts
    reference: MeasuredModel
    candidates: tuple[MeasuredCandidate, ...]
    sections: tuple[ReportSection, ...] = ()
    external: tuple[Mapping[str, Any], ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every candidate kept the contract."""
        return all(candidate.verdict == "pass" for candidate in self.candidates)

    def as_dict(self) -> dict[str, Any]:
        """The content of parity.json."""
        return {
            "schema": 1,
            "dataset": dict(self.dataset),
            "resize": RESIZE_ID,
            "threshold": {"reference": self.threshold, "source": self.threshold_source},
            "machine": dict(self.machine),
            "contract": self.contracts.as_dict(),
            "reference": self.reference.as_dict(),
            "candidates": [candidate.as_dict() for candidate in self.candidates],
            **contents_of(self.sections),
            "tables": [section.as_dict() for section in self.sections],
            "external": [dict(outside) for outside in self.external],
        }


def judge(
    model: MeasuredModel,
    comparison: Comparison,
    *,
    reference: MeasuredModel,
    contract: ParityContract,
    findings: Findings | None = None,
) -> MeasuredCandidate:
    """Hold a candidate against the contract."""
    ratio = None
    if model.latency is not None and reference.latency is not None:
        ratio = model.latency.percentile_ms(50) / reference.latency.percentile_ms(50)
    lost, recall = comparison.drops(), model.intervals.get("recall")
    measured: dict[str, Measured] = {
        "max_recall_drop": lost["recall"],
        "max_accuracy_drop": lost["accuracy"],
        "min_agreement": comparison.agreement,
        "max_auc_drop": lost["auc"],
        "min_recall_lower_bound": recall[0] if recall else None,
        "max_lost_malignant": len(comparison.flips.lost_malignant),
        "max_size_mb": model.size_bytes / MEGABYTE,
        "max_p90_ms": model.latency.percentile_ms(90) if model.latency else None,
        "max_latency_ratio": ratio,
    }
    if findings is not None:
        drops = findings.statistics.drops
        measured |= {MARGINS[metric]: drop.upper95 for metric, drop in drops.items()}
        measured["require_full_int8"] = findings.is_full_int8
    checks, failures = contract.check(measured)
    return MeasuredCandidate(
        model=model,
        comparison=comparison,
        latency_ratio=ratio,
        contract=contract,
        checks=checks,
        failures=failures,
        findings=findings,
    )
