"""Contracts as such: which rules count, and which images cannot be held against them."""

import pytest

from edge_melanoma.benchmarks.parity.contract import Contracts, ParityContract, refuse_undefined
from edge_melanoma.errors import EdgeMelanomaError


def test_a_limit_of_zero_counts_and_one_of_none_or_false_does_not() -> None:
    contract = ParityContract(max_recall_drop=0, max_lost_malignant=0, require_full_int8=False)
    assert contract.limits() == {
        "max_recall_drop": 0,
        "max_accuracy_drop": 0.005,
        "min_agreement": 0.99,
        "max_lost_malignant": 0,
    }


@pytest.mark.parametrize(
    ("benign", "malignant", "contract", "asked", "missing"),
    [
        (9, 0, ParityContract(), "max_recall_drop", "malignant"),
        (9, 0, ParityContract(max_lost_malignant=1), "max_recall_drop", "malignant"),
        (
            0,
            9,
            ParityContract(specificity_noninferiority_margin=0.1),
            "specificity_noninferiority_margin",
            "benign",
        ),
        (0, 9, ParityContract(max_auc_drop=0.1), "max_auc_drop", "benign"),
    ],
)
def test_a_rule_that_is_undefined_on_the_images_is_named(
    benign: int, malignant: int, contract: ParityContract, asked: str, missing: str
) -> None:
    contracts = Contracts(by_mode={"int8": contract}, source="parity.toml")
    with pytest.raises(EdgeMelanomaError) as caught:
        refuse_undefined(contracts, ("int8",), name="clinic", benign=benign, malignant=malignant)
    assert str(caught.value) == (
        f"The contract (parity.toml) asks for {asked}, which is undefined on clinic: it has no "
        f"{missing} images; bench it on images of both classes."
    )


def test_images_of_both_classes_define_every_rule() -> None:
    contracts = Contracts(general=ParityContract(max_auc_drop=0, max_lost_malignant=0))
    refuse_undefined(contracts, ("int8",), name="clinic", benign=1, malignant=1)
