"""The verdict: which tolerances a candidate must keep, and the report that says whether it did."""

import difflib
import math
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from edge_melanoma.benchmarks.latency import LatencySamples
from edge_melanoma.benchmarks.quality import Comparison
from edge_melanoma.benchmarks.sections import ReportSection, contents_of
from edge_melanoma.benchmarks.timing import ModelTiming
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.metrics import Interval, Metrics

MEGABYTE = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityContract:
    """What a candidate may lose against its reference; a limit of none is not checked.

    The defaults are the product's own promise for int8: half a point of recall and of accuracy.
    """

    max_recall_drop: float = 0.005
    max_accuracy_drop: float = 0.005
    min_agreement: float = 0.99
    max_auc_drop: float | None = None
    max_lost_malignant: int | None = None
    max_size_mb: float | None = None
    max_p90_ms: float | None = None
    max_latency_ratio: float | None = None


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
    latency: LatencySamples | None
    timing: ModelTiming | None = None

    def as_dict(self) -> dict[str, Any]:
        """For parity.json."""
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
    """A candidate, how it compares, and every tolerance that it misses, as a sentence each."""

    model: MeasuredModel
    comparison: Comparison
    latency_ratio: float | None
    failures: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """pass or fail."""
        return "fail" if self.failures else "pass"

    def as_dict(self) -> dict[str, Any]:
        """For parity.json."""
        comparison = self.comparison
        return self.model.as_dict() | {
            "drop": comparison.drops(),
            "agreement": comparison.agreement,
            "max_score_difference": comparison.max_score_difference,
            "mean_score_difference": comparison.mean_score_difference,
            "flips": comparison.flips.counts(),
            "flipped_images": asdict(comparison.flips),
            "ties_at_threshold": comparison.ties.counts() if comparison.ties else None,
            "distinct_scores": comparison.distinct_scores,
            "tests": {
                "mcnemar_p": comparison.mcnemar_p,
                "recall_drop_upper95": comparison.recall_drop_upper95,
            },
            "latency_ratio": self.latency_ratio,
            "verdict": self.verdict,
            "failures": list(self.failures),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityReport:
    """A reference and its candidates on the same pictures, and what they were measured with."""

    dataset: Mapping[str, Any]
    threshold: float
    threshold_source: str
    machine: Mapping[str, Any]
    contract: ParityContract
    reference: MeasuredModel
    candidates: tuple[MeasuredCandidate, ...]
    sections: tuple[ReportSection, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every candidate kept the contract."""
        return all(candidate.verdict == "pass" for candidate in self.candidates)

    def as_dict(self) -> dict[str, Any]:
        """The content of parity.json."""
        return {
            "schema": 1,
            "dataset": dict(self.dataset),
            "threshold": {"reference": self.threshold, "source": self.threshold_source},
            "machine": dict(self.machine),
            "contract": asdict(self.contract),
            "reference": self.reference.as_dict(),
            "candidates": [candidate.as_dict() for candidate in self.candidates],
            **contents_of(self.sections),
        }


def judge(
    model: MeasuredModel,
    comparison: Comparison,
    *,
    reference: MeasuredModel,
    contract: ParityContract,
) -> MeasuredCandidate:
    """Hold a candidate against the contract."""
    ratio = None
    if model.latency is not None and reference.latency is not None:
        ratio = model.latency.percentile_ms(50) / reference.latency.percentile_ms(50)
    drops = comparison.drops()
    measured = {
        "max_recall_drop": drops["recall"],
        "max_accuracy_drop": drops["accuracy"],
        "min_agreement": comparison.agreement,
        "max_auc_drop": drops["auc"],
        "max_lost_malignant": len(comparison.flips.lost_malignant),
        "max_size_mb": model.size_bytes / MEGABYTE,
        "max_p90_ms": model.latency.percentile_ms(90) if model.latency else None,
        "max_latency_ratio": ratio,
    }
    failures = [_failure(name, value, getattr(contract, name)) for name, value in measured.items()]
    return MeasuredCandidate(
        model=model,
        comparison=comparison,
        latency_ratio=ratio,
        failures=tuple(failure for failure in failures if failure),
    )


def read_contract(path: Path) -> ParityContract:
    """A contract from a TOML file with keys of `ParityContract`.

    Raises:
        EdgeMelanomaError: no such file, no TOML, an unknown key, or a value that is no number.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EdgeMelanomaError(
            f"The contract {path} is not a readable TOML file: {error}."
        ) from error
    known = [field.name for field in fields(ParityContract)]
    for key, value in content.items():
        if key not in known:
            nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]
            raise EdgeMelanomaError(
                f"The contract {path} has the unknown key '{key}'; did you mean '{nearest}'?"
            )
        _refuse_other_limits(path, key, value)
    return ParityContract(**content)


def _refuse_other_limits(path: Path, key: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise EdgeMelanomaError(f"The contract {path} gives {key} no number: {value!r}.")
    largest = 1.0 if key.endswith(("_drop", "_agreement")) else math.inf
    if not 0 <= value <= largest:
        raise EdgeMelanomaError(
            f"The contract {path} gives {key} the limit {value:g}; expected "
            + ("a share from 0 to 1." if largest == 1 else "0 or more.")
        )


def _failure(name: str, value: float | None, limit: float | None) -> str | None:
    if limit is None:
        return None
    if value is None:
        return f"{name} is {limit:g} but was not measured"
    # A drop of 0.005 computed as 0.0050000001 keeps the limit.
    tolerance = 1e-9
    missed = value < limit - tolerance if name.startswith("min_") else value > limit + tolerance
    if not missed:
        return None
    shown = f"{value:.4g}" if f"{value:.4g}" != f"{limit:.4g}" else f"{value:.9g}"
    return f"{name} is {limit:g}, measured {shown}"
