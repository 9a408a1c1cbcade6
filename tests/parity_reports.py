"""A whole parity report of made scores, as several test files need one."""

from collections.abc import Mapping
from typing import Any

from edge_melanoma.benchmarks.parity.comparison import compare
from edge_melanoma.benchmarks.parity.contract import Contracts, ParityContract
from edge_melanoma.benchmarks.parity.statistics import study_drops
from edge_melanoma.benchmarks.parity.verdict import MeasuredCandidate, MeasuredModel, ParityReport
from edge_melanoma.benchmarks.timing.latency import LatencySamples
from edge_melanoma.evaluation.metrics import measure, measure_intervals
from edge_melanoma.evaluation.predictions import PredictionSet
from edge_melanoma.evaluation.reliability import measure_reliability
from edge_melanoma.tflite.quantization import ScoreTensor, TensorQuantization

INT8_OUTPUT = ScoreTensor(
    name="p_malignant",
    quantization=TensorQuantization(dtype="int8", scale=1 / 256, zero_point=-128),
)
THRESHOLD = 0.5


def measured(mode: str, scores: PredictionSet) -> MeasuredModel:
    """2.6 MB, and 4 ms for each of two runs."""
    return MeasuredModel(
        runtime="keras" if mode == "keras" else "ai_edge_litert",
        mode=mode,
        size_bytes=2_600_000,
        sha256="ab" * 32,
        metrics=measure(scores, threshold=THRESHOLD),
        intervals=measure_intervals(scores, threshold=THRESHOLD),
        calibration=measure_reliability(scores),
        latency=LatencySamples(
            wall_ns=(4_000_000,) * 2, cpu_ns=(4_000_000,) * 2, warmup=1, threads=1
        ),
    )


def report_of(
    reference: PredictionSet,
    candidate: PredictionSet,
    *,
    contract: ParityContract | None = None,
    name: str = "made set",
    manifest: Mapping[str, Any] | None = None,
) -> ParityReport:
    """A report of one int8 candidate at the threshold 0.5; `manifest` is its export's."""
    contracts = Contracts(general=contract or ParityContract())
    before = measured("keras", reference)
    comparison = compare(reference, candidate, threshold=THRESHOLD, output=INT8_OUTPUT)
    judged = MeasuredCandidate(
        model=measured("int8", candidate),
        reference=before,
        comparison=comparison,
        statistics=study_drops(comparison),
        contract=contracts.of("int8"),
        manifest=manifest or {},
        is_full_int8=True,
    )
    malignant = int(reference.labels.sum())
    return ParityReport(
        dataset={
            "name": name,
            "images": len(reference.labels),
            "benign": len(reference.labels) - malignant,
            "malignant": malignant,
            "fingerprint": "cd" * 32,
        },
        threshold=THRESHOLD,
        machine={"cpu": "a processor", "cores": 2, "load": 0.5, "contaminated": False},
        contracts=contracts,
        reference=before,
        candidates=(judged,),
    )
