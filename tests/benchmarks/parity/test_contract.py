"""Contracts as such: which rules count."""

from edge_melanoma.benchmarks.parity.contract import ParityContract


def test_a_limit_of_zero_counts_and_one_of_none_or_false_does_not() -> None:
    contract = ParityContract(max_recall_drop=0, max_lost_malignant=0, require_full_int8=False)
    assert contract.limits() == {
        "max_recall_drop": 0,
        "max_accuracy_drop": 0.005,
        "max_lost_malignant": 0,
    }
