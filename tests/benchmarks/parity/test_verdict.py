"""The verdict: every tolerance is kept to the dot and missed by a hair."""

import json
from dataclasses import replace
from typing import Any

import pytest
from made import predictions_of

from edge_melanoma.benchmarks.parity.comparison import Comparison, Flips, compare
from edge_melanoma.benchmarks.parity.contract import Contracts, ParityContract
from edge_melanoma.benchmarks.parity.findings import Findings, study_candidate
from edge_melanoma.benchmarks.parity.verdict import MeasuredCandidate, MeasuredModel, ParityReport
from edge_melanoma.benchmarks.timing.latency import LatencySamples
from edge_melanoma.evaluation.metrics import Metrics
from edge_melanoma.evaluation.reliability import measure_reliability

METRICS = Metrics(recall=0.95, specificity=0.9, precision=0.9, f1=0.92, accuracy=0.925, auc=0.97)
NO_FLIPS = Flips(lost_malignant=(), gained_malignant=(), new_false_alarm=(), cleared_false_alarm=())
ALIKE = predictions_of(malignant=(0.9,), benign=(0.1,))
SAME = replace(
    compare(ALIKE, ALIKE, threshold=0.5),
    reference=METRICS,
    candidate=METRICS,
    flips=NO_FLIPS,
    ties=None,
    distinct_scores=200,
    agreement=1.0,
    max_score_difference=0.0,
    mean_score_difference=0.0,
    mcnemar_p=1.0,
    recall_drop_upper95=0.01,
)
LIMITS: dict[str, Any] = {
    "max_auc_drop": 0.01,
    "max_lost_malignant": 2,
    "max_size_mb": 2.9,
    "max_p90_ms": 12,
    "max_latency_ratio": 1.5,
}


def times(milliseconds: float) -> LatencySamples:
    nanoseconds = (round(milliseconds * 1e6),) * 2
    return LatencySamples(wall_ns=nanoseconds, cpu_ns=nanoseconds, warmup=0, threads=1)


REFERENCE = MeasuredModel(
    runtime="keras",
    mode="keras",
    size_bytes=9_000_000,
    sha256="00",
    metrics=METRICS,
    intervals={"recall": (0.93, 0.97)},
    calibration=measure_reliability(ALIKE),
    latency=times(10),
)
CANDIDATE = replace(REFERENCE, runtime="ai_edge_litert", mode="int8", size_bytes=2_500_000)


def drop(**metrics: float) -> Comparison:
    return replace(SAME, candidate=replace(METRICS, **metrics))


def agreeing(agreement: float) -> Comparison:
    return replace(SAME, agreement=agreement)


def losing(*image_ids: str) -> Comparison:
    return replace(SAME, flips=replace(NO_FLIPS, lost_malignant=image_ids))


def sized(size_bytes: int) -> MeasuredModel:
    return replace(CANDIDATE, size_bytes=size_bytes)


def timed(milliseconds: float) -> MeasuredModel:
    return replace(CANDIDATE, latency=times(milliseconds))


def tenth_of_eleven(milliseconds: float) -> MeasuredModel:
    """Nine runs of 5 ms, one of `milliseconds`, one of 99: the tenth of eleven is their p90."""
    wall = (*[5_000_000] * 9, round(milliseconds * 1e6), 99_000_000)
    return replace(CANDIDATE, latency=replace(times(5), wall_ns=wall, cpu_ns=wall))


def judge(
    model: MeasuredModel,
    comparison: Comparison,
    contract: ParityContract,
    findings: Findings | None = None,
) -> MeasuredCandidate:
    return MeasuredCandidate(
        model=model,
        reference=REFERENCE,
        comparison=comparison,
        contract=contract,
        findings=findings,
    )


def failures(part: MeasuredModel | Comparison, contract: ParityContract) -> tuple[str, ...]:
    """With a model as good as the reference, or with one as cheap as the usual candidate."""
    model, comparison = (CANDIDATE, part) if isinstance(part, Comparison) else (part, SAME)
    return tuple(judge(model, comparison, contract).check()[1])


@pytest.mark.parametrize(
    ("kept", "missed", "sentence"),
    [
        # 0.95 - 0.945 is 0.0050000000000000044 in binary: no drop beyond half a point.
        (drop(recall=0.945), drop(recall=0.944), "max_recall_drop is 0.005, measured 0.006"),
        (drop(accuracy=0.92), drop(accuracy=0.919), "max_accuracy_drop is 0.005, measured 0.006"),
        (agreeing(0.99), agreeing(0.989), "min_agreement is 0.99, measured 0.989"),
        (drop(auc=0.96), drop(auc=0.9599), "max_auc_drop is 0.01, measured 0.0101"),
        (losing("a", "b"), losing("a", "b", "c"), "max_lost_malignant is 2, measured 3"),
        (sized(2_900_000), sized(2_901_000), "max_size_mb is 2.9, measured 2.901"),
        (tenth_of_eleven(12), tenth_of_eleven(12.01), "max_p90_ms is 12, measured 12.01"),
        (timed(15), timed(15.01), "max_latency_ratio is 1.5, measured 1.501"),
        (CANDIDATE, replace(CANDIDATE, latency=None), "max_p90_ms is 12 but was not measured"),
    ],
)
def test_a_tolerance_is_kept_to_the_dot_and_missed_by_a_hair(
    kept: MeasuredModel | Comparison, missed: MeasuredModel | Comparison, sentence: str
) -> None:
    contract = ParityContract(**{name: LIMITS[name] for name in LIMITS if name in sentence})
    assert failures(kept, contract) == ()
    assert failures(missed, contract) == (sentence,)


@pytest.mark.parametrize(("low", "kept"), [(0.93, True), (0.9299, False)])
def test_the_lower_bound_of_recall_is_the_intervals(low: float, kept: bool) -> None:
    model = replace(CANDIDATE, intervals={"recall": (low, 0.97)})
    missed = failures(model, ParityContract(min_recall_lower_bound=0.93))
    assert missed == (() if kept else ("min_recall_lower_bound is 0.93, measured 0.9299",))


def found(*, is_full_int8: bool | None = True) -> Findings:
    """Of a candidate that loses one of five malignant images and alarms as before."""
    before = predictions_of(malignant=(0.9,) * 5, benign=(0.1, 0.2, 0.45))
    after = predictions_of(malignant=(0.4,) + (0.9,) * 4, benign=(0.1, 0.2, 0.45))
    return study_candidate(
        compare(before, after, threshold=0.5), manifest={}, is_full_int8=is_full_int8
    )


def failures_of(findings: Findings | None, contract: ParityContract) -> tuple[str, ...]:
    return tuple(judge(CANDIDATE, SAME, contract, findings=findings).check()[1])


def test_a_margin_is_held_against_the_upper_bound_of_the_drop() -> None:
    bound = found().statistics.drops["recall"].upper95
    assert 0.2 < bound < 0.7
    wide = ParityContract(recall_noninferiority_margin=bound + 1e-6)
    assert failures_of(found(), wide) == ()
    narrow = ParityContract(recall_noninferiority_margin=0.2)
    assert failures_of(found(), narrow) == (
        f"recall_noninferiority_margin is 0.2, the upper bound of the drop is {bound:.4g}",
    )
    # A margin must be undercut: at the bound itself p is 0.05.
    assert failures_of(found(), ParityContract(recall_noninferiority_margin=bound)) != ()


def test_every_metric_has_a_margin() -> None:
    margins = ParityContract().margins()
    assert list(margins) == list(found().statistics.drops)
    limits: dict[str, Any] = {f"{name}_noninferiority_margin": 1e-9 for name in margins}
    tight = ParityContract(**limits)
    assert [line.split()[0] for line in failures_of(found(), tight)] == [
        f"{name}_noninferiority_margin" for name in margins
    ]


def test_full_int8_is_required_of_the_file() -> None:
    contract = ParityContract(require_full_int8=True)
    assert failures_of(found(), contract) == ()
    assert failures_of(found(is_full_int8=False), contract) == (
        "require_full_int8 is true, but the file has other tensors than integers",
    )
    assert failures_of(None, contract) == ("require_full_int8 is true but was not measured",)


def test_every_rule_that_is_set_is_checked_and_told() -> None:
    contract = ParityContract(max_lost_malignant=0, max_size_mb=2.9)
    judged = judge(CANDIDATE, losing("a"), contract)
    told = judged.as_dict()["checks"]
    assert [(check["rule"], check["passed"]) for check in told] == [
        ("max_recall_drop", True),
        ("max_accuracy_drop", True),
        ("min_agreement", True),
        ("max_lost_malignant", False),
        ("max_size_mb", True),
    ]
    assert (told[3]["limit"], told[3]["measured"]) == (0, 1)


def test_findings_stand_beside_the_fields_of_old() -> None:
    judged = judge(CANDIDATE, losing("0.png"), ParityContract(), findings=found())
    told = json.loads(json.dumps(judged.as_dict(), allow_nan=False))
    assert {"mcnemar_p", "recall_drop_upper95", "mcnemar_p_malignant", "noninferiority"} == set(
        told["tests"]
    )
    assert list(told["drop"]) == [*METRICS.as_dict(), "partial_auc"]
    assert told["drop_intervals"]["recall"][0] == 0.0
    assert told["proof"]["recall"]["pairs"] == 5
    assert told["proof"]["recall"]["margin"] == 0.005
    assert told["flip_details"][0]["image_id"] == "0.png"
    assert [point["name"] for point in told["operating_points"]] == ["half", "reference", "own"]
    assert told["full_int8"] is True


def test_the_proof_is_asked_for_the_margin_of_the_contract() -> None:
    contract = ParityContract(recall_noninferiority_margin=0.02)
    judged = judge(CANDIDATE, SAME, contract, findings=found())
    assert judged.as_dict()["proof"]["recall"]["margin"] == 0.02
    for without_limit in (0, 1):
        other = ParityContract(max_recall_drop=without_limit)
        judged = judge(CANDIDATE, SAME, other, findings=found())
        assert judged.as_dict()["proof"]["recall"]["margin"] == 0.005


def test_a_better_candidate_keeps_every_drop() -> None:
    contract = ParityContract(max_recall_drop=0, max_accuracy_drop=0, max_auc_drop=0)
    assert failures(drop(recall=1.0, accuracy=1.0, auc=1.0), contract) == ()


def test_cost_and_lost_melanomas_are_not_checked_by_default() -> None:
    assert failures(sized(10**12), ParityContract()) == ()
    assert failures(timed(10_000), ParityContract()) == ()
    assert failures(losing("a", "b", "c"), ParityContract()) == ()


def test_one_failing_candidate_fails_the_report() -> None:
    contract = ParityContract(max_lost_malignant=2)
    good, bad = (
        judge(CANDIDATE, comparison, contract)
        for comparison in (losing("a", "b"), losing("a", "b", "c"))
    )
    report = ParityReport(
        dataset={"name": "small"},
        threshold=0.25,
        machine={"cores": 2},
        contracts=Contracts(general=contract),
        reference=REFERENCE,
        candidates=(good, bad),
    )
    assert not report.passed
    assert replace(report, candidates=(good,)).passed
    told = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert told["threshold"] == {"reference": 0.25, "source": "validation"}
    assert told["resize"] == "triangle-22bit-v1"
    assert [candidate["verdict"] for candidate in told["candidates"]] == ["pass", "fail"]
    assert told["candidates"][1]["failures"] == ["max_lost_malignant is 2, measured 3"]
    assert told["candidates"][1]["flipped_images"]["lost_malignant"] == ["a", "b", "c"]
    assert told["candidates"][1]["latency_ratio"] == 1.0


def test_ties_are_told_by_number_and_as_unknown_where_they_are() -> None:
    ties = {"images": 23, "malignant": 9}
    known, unknown = (
        judge(CANDIDATE, replace(SAME, ties=ties), ParityContract()).as_dict()
        for ties in (ties, None)
    )
    assert known["ties_at_threshold"] == {"images": 23, "malignant": 9}
    assert unknown["ties_at_threshold"] is None
    assert known["distinct_scores"] == unknown["distinct_scores"] == 200


def test_a_failure_by_less_than_four_digits_does_not_contradict_itself() -> None:
    judged = judge(CANDIDATE, agreeing(0.989997), ParityContract())
    assert judged.check()[1] == ["min_agreement is 0.99, measured 0.989997"]
