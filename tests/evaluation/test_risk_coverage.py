"""Of the surest answers so many are wrong; counted by hand, and by identities."""

import numpy as np
import pytest
from made import predictions_of

from edge_melanoma.evaluation.risk_coverage import (
    measure_risk_coverage,
    risk_cells,
    risk_curve,
)

# At 0.5 the melanoma of 0.45 is missed and the benign picture of 0.75 is a false alarm.
SCORES = predictions_of(malignant=(0.99, 0.9, 0.45, 0.6), benign=(0.01, 0.75, 0.1, 0.2, 0.3, 0.05))


def test_the_least_sure_are_left_out_first() -> None:
    rows = measure_risk_coverage(SCORES, threshold=0.5)["rows"]
    shown = [(row["images"], row["missed"], row["false_alarms"]) for row in rows]
    assert shown == [(10, 1, 1), (10, 1, 1), (9, 0, 1), (8, 0, 1), (7, 0, 1), (6, 0, 0), (5, 0, 0)]
    assert rows[0]["risk"] == 2 / 10
    assert risk_cells(rows[2])[:3] == ("90%", "9", "0.1111")
    assert risk_cells(rows[2])[4:] == ("0 of 3", "1 of 6")


def test_the_curve_ends_at_the_error_over_all_and_its_mean_is_aurc() -> None:
    coverages, risks = risk_curve(SCORES, threshold=0.5)
    assert (coverages[-1], risks[-1]) == (1.0, 0.2)
    assert measure_risk_coverage(SCORES, threshold=0.5)["aurc"] == pytest.approx(risks.mean())
    assert np.all(risks >= 0)


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_a_threshold_at_an_end_is_no_infinity(threshold: float) -> None:
    assert np.isfinite(measure_risk_coverage(SCORES, threshold=threshold)["aurc"])
