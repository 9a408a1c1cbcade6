"""The verdict: each candidate held against its contract, and the report that tells of it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.benchmarks.parity.comparison import (
    Comparison,
    compare_at_points,
    describe_flips,
    integer_of,
    own_point_of,
)
from edge_melanoma.benchmarks.parity.contract import MARGINS, Contracts, ParityContract
from edge_melanoma.benchmarks.parity.paired_tests import proof_limits, trials_that_tell
from edge_melanoma.benchmarks.parity.rules import FAIL, INCONCLUSIVE, PASS, Check, Figure
from edge_melanoma.benchmarks.parity.statistics import (
    PAIRS,
    PairedStatistics,
    measured_agreement,
)
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
TOLERATED = ("recall", "accuracy", "auc")
"""The metrics whose drop as such may have a limit."""
BUSY = "others had the processor meanwhile: bench again on a quiet machine"


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

    `manifest` is the export's, `is_full_int8` none where the file was not looked into, as are
    `fallback_ops`, the operators that a GPU leaves to the CPU; `without_score`
    pictures got no probability from it; `gate` counts what both refuse, none where one has no gate.
    `decisions` compares three answers, where it gives these, `stability` says what phone pipelines
    change, where that was looked into.
    """

    model: MeasuredModel
    reference: MeasuredModel
    comparison: Comparison
    statistics: PairedStatistics
    contract: ParityContract
    manifest: Mapping[str, Any]
    is_full_int8: bool | None
    fallback_ops: int | None = None
    without_score: int = 0
    decisions: Mapping[str, Any] | None = None
    stability: Mapping[str, Any] | None = None
    gate: Mapping[str, int] | None = None

    @property
    def latency_ratio(self) -> float | None:
        """By the median of the reference; none where one of the two cannot be run here."""
        before, after = self.reference.latency, self.model.latency
        if before is None or after is None:
            return None
        return after.percentile_ms(50) / before.percentile_ms(50)

    def checks(self) -> list[Check]:
        """Every rule of the contract; above them that the outputs are none, where they are none."""
        drops, model = self.statistics.drops, self.model
        tolerated = {f"max_{name}_drop": drops[name].figure for name in TOLERATED}
        bounds = {MARGINS[metric]: drop.bound() for metric, drop in drops.items()}
        checks = self.contract.check(
            {
                **tolerated,
                **bounds,
                "min_agreement": measured_agreement(self.comparison),
                "min_recall_lower_bound": self._lower_bound_of_recall(),
                "max_gate_flips": self._gate_flips(),
                "max_lost_malignant": Figure(value=len(self.comparison.flips.lost_malignant)),
                "max_size_mb": Figure(value=model.size_bytes / MEGABYTE),
                "max_p90_ms": self._time(
                    model.latency.percentile_ms(90) if model.latency else None
                ),
                "max_latency_ratio": self._time(self.latency_ratio),
                "max_fallback_ops": Figure(value=self.fallback_ops),
                "max_decision_changes": self._changes(),
                "require_full_int8": Figure(value=self.is_full_int8),
            }
        )
        useless = describe_outputs(self.comparison.scores[1].scores, self.without_score)
        if useless is None:
            return checks
        told = Check(
            rule="usable_outputs", limit=True, measured=False, verdict=FAIL, sentence=useless
        )
        return [told, *checks]

    def _gate_flips(self) -> Figure:
        if self.gate is None:
            return Figure(
                value=None, doubt="the model has no gate, so that max_gate_flips says nothing"
            )
        return Figure(value=self.gate["newly_refused"] + self.gate["newly_judged"])

    def _lower_bound_of_recall(self) -> Figure:
        (low, high), recall = self.model.intervals["recall"], self.model.metrics.recall
        return Figure(
            value=low,
            lenient=high,
            pictures=self.statistics.pairs["recall"]["pairs"],
            of=PAIRS["recall"],
            settling=lambda limit: trials_that_tell(limit, recall),
        )

    def _changes(self) -> Figure:
        """Of all decisions under phone pipelines; pictures are drawn, pipelines are not."""
        if self.stability is None:
            return Figure(value=None)
        changed, low = float(self.stability["changed"]), float(self.stability["interval"][0])
        pictures = int(self.stability["pictures"])

        def settling(limit: float) -> int | None:
            return round(pictures * ((changed - low) / (changed - limit)) ** 2) + 1

        return Figure(value=changed, lenient=low, pictures=pictures, settling=settling)

    def _time(self, value: float | None) -> Figure:
        """Other load makes a time longer, never shorter: what is missed under it is open."""
        models = self.reference.latency, self.model.latency
        if value is None or not any(one and one.is_contaminated for one in models):
            return Figure(value=value)
        return Figure(value=value, lenient=0.0, doubt=BUSY)

    def verdict(self) -> str:
        """The worst of all checks."""
        found = {check.verdict for check in self.checks()}
        return next((one for one in (FAIL, INCONCLUSIVE) if one in found), PASS)

    def as_dict(self) -> dict[str, Any]:
        """For parity.json."""
        comparison, checks = self.comparison, self.checks()
        output, told = comparison.output, self.statistics.as_dict(self.contract.margins())
        noninferiority = told.pop("noninferiority")
        return self.model.figures() | {
            "drop": comparison.drops() | {"partial_auc": noninferiority["partial_auc"]["drop"]},
            "agreement": comparison.agreement,
            "max_score_difference": comparison.max_score_difference,
            "mean_score_difference": comparison.mean_score_difference,
            "flips": comparison.flips.counts(),
            "flipped_images": asdict(comparison.flips),
            "ties_at_threshold": comparison.ties,
            "distinct_scores": comparison.distinct_scores,
            "tests": {
                "mcnemar_p": comparison.mcnemar_p,
                "mcnemar_p_malignant": told.pop("mcnemar_p_malignant"),
                "recall_drop_upper95": comparison.recall_drop_upper95,
                "noninferiority": noninferiority,
            },
            "gate": None if self.gate is None else dict(self.gate),
            "latency_ratio": self.latency_ratio,
            "verdict": self.verdict(),
            "failures": [check.sentence for check in checks if check.verdict == FAIL],
            "inconclusive": [check.sentence for check in checks if check.verdict == INCONCLUSIVE],
            "checks": [check.as_dict() for check in checks],
            "operating_points": compare_at_points(comparison, own=own_point_of(self.manifest)),
            **({"decisions": dict(self.decisions)} if self.decisions else {}),
            "flip_details": describe_flips(comparison),
            "threshold_integer": integer_of(output, comparison.threshold),
            **{name: self.manifest[name] for name in ("best_epoch",) if name in self.manifest},
            "output": output and {"name": output.name, **output.quantization.as_dict()},
            "full_int8": self.is_full_int8,
            "fallback_ops": self.fallback_ops,
            "proof": self._proof(),
            **told,
            "calibration": self.model.calibration.as_dict(),
        }

    def _proof(self) -> dict[str, Any]:
        """What these numbers of malignant and of all images can prove about the allowed drop."""
        limit, margin = self.contract.max_recall_drop, self.contract.recall_noninferiority_margin
        allowed = limit if 0 < limit <= LARGEST_PROOF_MARGIN else DEFAULT_PROOF_MARGIN
        pairs = self.statistics.pairs
        return {
            name: proof_limits(**pairs[name], margin=margin or allowed)
            for name in ("recall", "accuracy")
        }


def describe_outputs(scores: NDArray[np.float64], without_score: int) -> str | None:
    """What is wrong with the outputs as such; nothing where they tell pictures apart."""
    if without_score:
        return f"{without_score} of {len(scores)} outputs are no probability (NaN or outside 0..1)"
    if len(scores) > 1 and np.ptp(scores) == 0:
        return f"the output is {scores[0]:.4g} for all {len(scores)} pictures"
    return None


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
        """Whether no candidate fails; where the contract says so, whether all of them pass."""
        counts_as = {INCONCLUSIVE: self.contracts.on_inconclusive}
        verdicts = (candidate.verdict() for candidate in self.candidates)
        return all(counts_as.get(verdict, verdict) == PASS for verdict in verdicts)

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
