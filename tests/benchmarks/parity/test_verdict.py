"""The verdict of a file and of a report, and what parity.json says of both."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from made import predictions_of
from parity_reports import report_of

from edge_melanoma.benchmarks.parity.contract import Contracts, ParityContract
from edge_melanoma.benchmarks.parity.paired_tests import proof_limits
from edge_melanoma.benchmarks.parity.rules import FAIL, INCONCLUSIVE, PASS
from edge_melanoma.benchmarks.parity.verdict import (
    MeasuredCandidate,
    ParityReport,
    describe_outputs,
)
from edge_melanoma.benchmarks.timing.latency import LatencySamples

ANYTHING_GOES = ParityContract(max_recall_drop=1, max_accuracy_drop=1, require_full_int8=False)
BEFORE = predictions_of(malignant=(0.9,) * 5, benign=(0.1, 0.2, 0.45))
LOSING = predictions_of(malignant=(0.4,) + (0.9,) * 4, benign=(0.1, 0.2, 0.45))


def judged(contract: ParityContract = ANYTHING_GOES, **changes: Any) -> MeasuredCandidate:
    """A candidate that loses one of five malignant images and alarms as before."""
    (candidate,) = report_of(BEFORE, LOSING, contract=contract).candidates
    return replace(candidate, **changes)


def failures(candidate: MeasuredCandidate) -> list[str]:
    found: list[str] = candidate.as_dict()["failures"]
    return found


def times(milliseconds: float, *, waited: float = 1.0) -> LatencySamples:
    """Two equal runs, whose wall time is `waited` times their CPU time."""
    wall = (round(milliseconds * 1e6),) * 2
    cpu = tuple(round(one / waited) for one in wall)
    return LatencySamples(wall_ns=wall, cpu_ns=cpu, warmup=0, threads=1)


def test_every_metric_has_a_margin_and_every_rule_a_figure() -> None:
    margins = ParityContract().margins()
    assert list(margins) == list(judged().statistics.drops)
    every: dict[str, Any] = dict.fromkeys((f"{name}_noninferiority_margin" for name in margins), 1)
    every |= {"max_auc_drop": 1, "min_agreement": 0, "min_recall_lower_bound": 0}
    every |= {"max_lost_malignant": 1, "max_size_mb": 3, "max_p90_ms": 9, "max_latency_ratio": 9}
    contract = replace(ANYTHING_GOES, **every)
    assert [check.rule for check in judged(contract).checks()] == list(contract.limits())
    assert failures(judged(contract)) == []


def test_full_int8_is_asked_of_modes_that_promise_it() -> None:
    contracts = Contracts()
    asked = {mode: contracts.of(mode).require_full_int8 for mode in ("float32", "int8", "int8-qat")}
    assert asked == {"float32": None, "int8": True, "int8-qat": True}
    candidate = judged(contracts.of("int8"))
    assert failures(replace(candidate, is_full_int8=False)) == [
        "the file has other tensors than integers, integers alone required"
    ]
    off = replace(ANYTHING_GOES, require_full_int8=False)
    assert Contracts(general=off).of("int8").require_full_int8 is False


def test_a_time_that_is_missed_under_load_is_open_and_one_that_is_kept_is_kept() -> None:
    contract = replace(ANYTHING_GOES, max_p90_ms=12)
    slow, busy, kept = (
        judged(contract, model=replace(judged().model, latency=latency))
        for latency in (times(12.01), times(12.01, waited=2), times(12, waited=2))
    )
    assert [one.verdict() for one in (slow, busy, kept)] == [FAIL, INCONCLUSIVE, PASS]
    assert busy.as_dict()["inconclusive"] == [
        "12.01 ms at the 90th percentile, at most 12 allowed, but others had the processor "
        "meanwhile: bench again on a quiet machine"
    ]
    unmeasured = judged(contract, model=replace(judged().model, latency=None))
    assert failures(unmeasured) == ["max_p90_ms was not measured, at most 12 allowed"]


@pytest.mark.parametrize(
    ("scores", "without_score", "sentence"),
    [
        ((0.0, 0.0, 0.0), 0, "the output is 0 for all 3 pictures"),
        ((0.25, 0.25, 0.25), 0, "the output is 0.25 for all 3 pictures"),
        ((0.0, 0.3, 0.0), 2, "2 of 3 outputs are no probability (NaN or outside 0..1)"),
        ((0.25, 0.25, 0.26), 0, None),
    ],
)
def test_outputs_that_say_nothing_are_told(
    scores: tuple[float, ...], without_score: int, sentence: str | None
) -> None:
    assert describe_outputs(np.array(scores), without_score) == sentence


def test_outputs_that_say_nothing_fail_whatever_the_contract() -> None:
    constant = predictions_of(malignant=(0.6,) * 5, benign=(0.6,) * 3)
    report = report_of(BEFORE, constant, contract=ANYTHING_GOES)
    (told,) = report.as_dict()["candidates"]
    assert (told["verdict"], report.passed) == (FAIL, False)
    assert told["failures"] == ["the output is 0.6 for all 8 pictures"]
    assert told["checks"][0]["rule"] == "usable_outputs"
    assert failures(judged(without_score=3)) == [
        "3 of 8 outputs are no probability (NaN or outside 0..1)"
    ]


def test_a_verdict_is_the_worst_of_all_checks() -> None:
    assert judged().verdict() == PASS
    assert judged(ParityContract()).verdict() == INCONCLUSIVE
    assert judged(ParityContract(max_lost_malignant=0)).verdict() == FAIL


def test_every_rule_that_is_set_is_checked_and_told() -> None:
    told = judged(replace(ANYTHING_GOES, max_lost_malignant=0, max_size_mb=2.9)).as_dict()
    assert [(check["rule"], check["passed"], check["verdict"]) for check in told["checks"]] == [
        ("max_recall_drop", True, "pass"),
        ("max_accuracy_drop", True, "pass"),
        ("max_lost_malignant", False, "fail"),
        ("max_size_mb", True, "pass"),
    ]
    assert (told["checks"][2]["limit"], told["checks"][2]["measured"]) == (0, 1)
    assert told["failures"] == ["malignant pictures lost: 1, at most 0 allowed"]


def test_findings_stand_beside_the_fields_of_old() -> None:
    told = json.loads(json.dumps(judged(ParityContract()).as_dict(), allow_nan=False))
    assert {"mcnemar_p", "recall_drop_upper95", "mcnemar_p_malignant", "noninferiority"} == set(
        told["tests"]
    )
    names = ["recall", "specificity", "precision", "f1", "accuracy", "auc"]
    assert list(told["drop"]) == [*names, "partial_auc"]
    assert told["proof"]["recall"]["pairs"] == 5
    assert told["proof"]["recall"]["margin"] == 0.005
    assert told["flip_details"][0]["image_id"] == "0.png"
    assert [point["name"] for point in told["operating_points"]] == ["half", "reference", "own"]
    assert told["full_int8"] is True
    assert "best_epoch" not in told


def test_a_tuned_file_tells_its_best_epoch() -> None:
    (told,) = report_of(BEFORE, LOSING, manifest={"best_epoch": 2}).as_dict()["candidates"]
    assert told["best_epoch"] == 2


def test_precision_without_a_positive_call_is_null() -> None:
    silent = predictions_of(malignant=(0.1, 0.2), benign=(0.1, 0.3))
    parity = json.loads(json.dumps(report_of(BEFORE, BEFORE).as_dict(), allow_nan=False))
    assert parity["candidates"][0]["drop"]["precision"] == 0.0
    (told,) = report_of(silent, silent).as_dict()["candidates"]
    assert (told["metrics"]["precision"], told["drop"]["precision"]) == (None, None)
    assert "precision" not in told["intervals"]


def test_the_proof_is_asked_for_the_margin_of_the_contract() -> None:
    contract = ParityContract(recall_noninferiority_margin=0.02)
    assert judged(contract).as_dict()["proof"]["recall"]["margin"] == 0.02
    for without_limit in (0, 1):
        told = judged(ParityContract(max_recall_drop=without_limit)).as_dict()
        assert told["proof"]["recall"]["margin"] == 0.005


def test_one_failing_candidate_fails_the_report() -> None:
    report = report_of(BEFORE, LOSING, contract=replace(ANYTHING_GOES, max_lost_malignant=1))
    (good,) = report.candidates
    bad = replace(good, contract=replace(ANYTHING_GOES, max_lost_malignant=0))
    both = replace(report, candidates=(good, bad))
    assert (report.passed, both.passed) == (True, False)
    told = json.loads(json.dumps(both.as_dict(), allow_nan=False))
    assert told["threshold"] == {"reference": 0.5, "source": "validation"}
    assert told["resize"] == "triangle-22bit-v1"
    assert [candidate["verdict"] for candidate in told["candidates"]] == ["pass", "fail"]
    assert told["candidates"][1]["flipped_images"]["lost_malignant"] == ["0.png"]
    assert told["candidates"][1]["latency_ratio"] == 1.0


@pytest.mark.parametrize(("on_inconclusive", "passed"), [("pass", True), ("fail", False)])
def test_an_inconclusive_file_fails_the_report_where_the_contract_says_so(
    on_inconclusive: str, passed: bool
) -> None:
    report: ParityReport = report_of(BEFORE, LOSING)
    contracts = replace(report.contracts, on_inconclusive=on_inconclusive)
    report = replace(report, contracts=contracts)
    told = report.as_dict()
    assert [candidate["verdict"] for candidate in told["candidates"]] == ["inconclusive"]
    assert told["contract"]["on_inconclusive"] == on_inconclusive
    assert report.passed == passed


def test_ties_are_told_by_number_and_as_unknown_where_they_are() -> None:
    ties = {"images": 23, "malignant": 9}
    known, unknown = (
        judged(comparison=replace(judged().comparison, ties=ties)).as_dict()
        for ties in (ties, None)
    )
    assert known["ties_at_threshold"] == {"images": 23, "malignant": 9}
    assert unknown["ties_at_threshold"] is None
    assert known["distinct_scores"] == unknown["distinct_scores"] == 5


def test_the_candidates_own_point_is_the_manifests_and_proofs_are_of_its_pictures() -> None:
    manifest = {"operating_point": {"threshold": 0.35, "integer": -38}}
    (told,) = report_of(BEFORE, LOSING, manifest=manifest).as_dict()["candidates"]
    *_, own = told["operating_points"]
    assert (own["candidate_threshold"], own["candidate_integer"]) == (0.35, -38)
    assert own["flips"]["lost_malignant"] == 0
    assert told["proof"] == {
        "recall": proof_limits(lost=1, gained=0, pairs=5, margin=0.005),
        "accuracy": proof_limits(lost=1, gained=0, pairs=8, margin=0.005),
    }
    assert told["threshold_integer"] == 0
    assert told["output"] == {
        "name": "p_malignant",
        "dtype": "int8",
        "scale": 1 / 256,
        "zero_point": -128,
    }


@pytest.mark.parametrize(
    ("limit", "verdict"), [(0.06, "pass"), (0.045, "inconclusive"), (0.03, "fail")]
)
def test_changes_under_phone_pipelines_are_held_against_the_limit(
    limit: float, verdict: str
) -> None:
    scores = predictions_of(malignant=(0.9,) * 50, benign=(0.1,) * 50)
    contract = ParityContract(max_decision_changes=limit)
    (candidate,) = report_of(scores, scores, contract=contract).candidates
    found = {"pictures": 100, "changed": 0.05, "interval": (0.04, 0.06)}
    checks = {one.rule: one for one in replace(candidate, stability=found).checks()}
    assert checks["max_decision_changes"].verdict == verdict
    if verdict == "inconclusive":
        # Four times the pictures halve the interval's reach of .01 to the .005 that is between.
        assert checks["max_decision_changes"].needed in {400, 401}
    unmeasured = {one.rule: one for one in candidate.checks()}["max_decision_changes"]
    assert (unmeasured.verdict, unmeasured.measured) == (FAIL, None)


def test_gates_that_part_are_counted_and_one_that_is_not_there_proves_nothing() -> None:
    contract = replace(ANYTHING_GOES, max_gate_flips=2)
    found = {"reference_refused": 3, "candidate_refused": 4, "newly_refused": 2, "newly_judged": 1}
    parted = judged(contract, gate=found)
    assert failures(parted) == ["pictures that one gate alone refuses: 3, at most 2 allowed"]
    assert parted.as_dict()["gate"] == found
    assert judged(replace(contract, max_gate_flips=3), gate=found).verdict() == PASS
    without = judged(contract)
    assert (without.verdict(), without.as_dict()["gate"]) == (INCONCLUSIVE, None)
    (told,) = without.as_dict()["inconclusive"]
    assert "the model has no gate" in told
