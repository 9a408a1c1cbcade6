"""The verdict: each candidate held against its contract, and the report that tells of it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from edge_melanoma.benchmarks.parity.comparison import Comparison
from edge_melanoma.benchmarks.parity.contract import MARGINS, Contracts, Measured, ParityContract
from edge_melanoma.benchmarks.parity.findings import Findings
from edge_melanoma.benchmarks.sections import ReportSection
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
    """A candidate held against a contract, beside the reference that it was compared with.

    `findings` is none where only the metrics were compared.
    """

    model: MeasuredModel
    reference: MeasuredModel
    comparison: Comparison
    contract: ParityContract
    findings: Findings | None = None

    @property
    def latency_ratio(self) -> float | None:
        """By the median of the reference; none where one of the two cannot be run here."""
        before, after = self.reference.latency, self.model.latency
        if before is None or after is None:
            return None
        return after.percentile_ms(50) / before.percentile_ms(50)

    def check(self) -> tuple[list[dict[str, Any]], list[str]]:
        """Every rule of the contract, for parity.json; and a sentence for each missed one."""
        model, comparison = self.model, self.comparison
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
            "max_latency_ratio": self.latency_ratio,
        }
        if self.findings is not None:
            drops = self.findings.statistics.drops
            measured |= {MARGINS[metric]: drop.upper95 for metric, drop in drops.items()}
            measured["require_full_int8"] = self.findings.is_full_int8
        return self.contract.check(measured)

    def as_dict(self) -> dict[str, Any]:
        """For parity.json."""
        comparison, found = self.comparison, self._findings_as_dict()
        checks, failures = self.check()
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
            "verdict": "fail" if failures else "pass",
            "failures": failures,
            "checks": checks,
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
    machine: Mapping[str, Any]
    contracts: Contracts
    reference: MeasuredModel
    candidates: tuple[MeasuredCandidate, ...]
    sections: tuple[ReportSection, ...] = ()
    external: tuple[Mapping[str, Any], ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every candidate kept the contract."""
        return not any(candidate.check()[1] for candidate in self.candidates)

    def as_dict(self) -> dict[str, Any]:
        """The content of parity.json."""
        return {
            "schema": 1,
            "dataset": dict(self.dataset),
            "resize": RESIZE_ID,
            "threshold": {"reference": self.threshold, "source": "validation"},
            "machine": dict(self.machine),
            "contract": self.contracts.as_dict(),
            "reference": self.reference.as_dict(),
            "candidates": [candidate.as_dict() for candidate in self.candidates],
            **{one.key: one.content for one in self.sections if one.key is not None},
            "tables": [section.as_dict() for section in self.sections],
            "external": [dict(outside) for outside in self.external],
        }
