"""Within sources: each source's own figures, means over them, and whole lesions in intervals."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made import joined, predictions_from, predictions_of
from sklearn.metrics import roc_auc_score

from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.evaluation.evaluation import evaluate_at_both, measure_set, without_images
from edge_melanoma.evaluation.metrics import area_under_roc, percentile_interval, wilson_interval
from edge_melanoma.evaluation.predictions import (
    Origin,
    PredictionSet,
    make_prediction_set,
    origin_of,
    predictions_to_csv,
    read_predictions,
)
from edge_melanoma.evaluation.reliability import expected_calibration_error
from edge_melanoma.evaluation.sources import auc_within, measure_matrix, measure_within

THRESHOLD = 0.5


def drawn(source: str, seed: int, *, shift: float = 0.0, count: int = 60) -> PredictionSet:
    """Melanomas that score higher than the rest; `shift` moves all of a source."""
    random = np.random.default_rng(seed)

    def scores(mean: float, number: int) -> Any:
        # In hundredths, so that there are ties.
        return np.round(np.clip(random.normal(mean + shift, 0.15, number), 0, 1), 2)

    return predictions_from(
        source,
        mel=scores(0.6, count // 2),
        nv=scores(0.35, count),
        bkl=scores(0.45, count // 3),
        bcc=scores(0.8, count // 4),
    )


LOW, HIGH = drawn("low", 1, shift=-0.1), drawn("high", 2, shift=0.2, count=90)
BOTH = joined(LOW, HIGH)


def melanomas_of(predictions: PredictionSet) -> PredictionSet:
    kept = [origin.diagnosis != "bcc" for origin in predictions.origins]
    return predictions.only(np.array(kept))


def auc_of(predictions: PredictionSet) -> float:
    return float(roc_auc_score(predictions.labels, predictions.scores))


def test_each_source_has_the_auc_of_scikit_learn_without_carcinomas() -> None:
    told = measure_within(BOTH, threshold=THRESHOLD)
    found = told["within_source"]
    assert list(found) == ["high", "low"]
    expected = {"low": auc_of(melanomas_of(LOW)), "high": auc_of(melanomas_of(HIGH))}
    for name, auc in expected.items():
        assert found[name]["auc"] == pytest.approx(auc)
        low, high = found[name]["interval"]
        assert low < auc < high
    assert told["macro_auc"] == pytest.approx(np.mean(list(expected.values())))
    # Pooled, what tells the two sources apart counts too.
    assert auc_of(BOTH) != pytest.approx(told["macro_auc"], abs=0.01)


def test_recall_and_specificity_are_of_melanomas_and_of_what_is_benign() -> None:
    found = measure_within(BOTH, threshold=THRESHOLD)["within_source"]["high"]
    own = melanomas_of(HIGH)
    called = own.scores >= THRESHOLD
    hits, right = int(called[own.labels].sum()), int((~called[~own.labels]).sum())
    assert (found["malignant"], found["benign"]) == (45, 120)
    assert (found["recall"], found["specificity"]) == (hits / 45, right / 120)
    assert found["recall_interval"] == wilson_interval(hits, 45)
    assert found["specificity_interval"] == wilson_interval(right, 120)


def test_carcinomas_are_counted_apart_and_are_part_of_the_calibration() -> None:
    found = measure_within(BOTH, threshold=THRESHOLD)["within_source"]["low"]
    carcinomas = np.array([origin.diagnosis == "bcc" for origin in LOW.origins])
    assert found["carcinomas"] == {
        "images": 15,
        "recall": float((LOW.scores[carcinomas] >= THRESHOLD).mean()),
    }
    error = expected_calibration_error(LOW.scores, LOW.labels.astype(float))
    assert found["calibration_error"] == error
    without = measure_within(melanomas_of(BOTH), threshold=THRESHOLD)
    assert "carcinomas" not in without["within_source"]["low"]
    assert without["macro_auc"] == measure_within(BOTH, threshold=THRESHOLD)["macro_auc"]


def test_macro_figures_are_means_over_sources_whatever_their_size() -> None:
    told = measure_within(BOTH, threshold=THRESHOLD)
    found = told["within_source"].values()
    for metric in ("auc", "recall", "specificity"):
        mean = sum(one[metric] for one in found) / 2
        assert told[f"macro_{metric}"] == pytest.approx(mean)


def test_a_source_with_fewer_than_ten_of_a_class_is_shown_and_not_judged() -> None:
    few = predictions_from("few", mel=[0.1] * 9, nv=[0.9] * 50)
    just = predictions_from("just", mel=[0.75] * 10, nv=[0.25] * 10)
    told = measure_within(joined(few, just), threshold=THRESHOLD)
    shown = told["within_source"]["few"]
    assert (shown["judged"], shown["auc"], shown["interval"]) == (False, 0.0, None)
    assert (shown["recall"], shown["specificity"]) == (0.0, 0.0)
    assert told["within_source"]["just"]["judged"]
    assert (told["macro_auc"], told["macro_recall"], told["macro_specificity"]) == (1.0, 1.0, 1.0)
    assert told["macro_auc_interval"] == (1.0, 1.0)


def test_what_a_source_lacks_is_none() -> None:
    moles = predictions_from("moles", nv=[0.25] * 50)
    basal = predictions_from("basal", bcc=[0.75] * 20)
    found = measure_within(joined(moles, basal), threshold=THRESHOLD)
    of = found["within_source"]
    assert (of["moles"]["auc"], of["moles"]["recall"]) == (None, None)
    assert of["moles"]["specificity"] == 1.0
    assert (of["basal"]["recall"], of["basal"]["specificity"]) == (None, None)
    assert of["basal"]["carcinomas"] == {"images": 20, "recall": 1.0}
    assert (found["macro_auc"], found["macro_auc_interval"]) == (None, None)
    assert found["melanoma_against_keratosis"] is None


def test_where_origins_are_not_known_nothing_is_told() -> None:
    plain = predictions_of(malignant=(0.75,), benign=(0.25,))
    assert measure_within(plain, threshold=THRESHOLD) == {}
    assert "within_source" not in evaluate_at_both(plain, threshold=THRESHOLD)


def test_one_source_has_no_matrix() -> None:
    told = measure_within(LOW, threshold=THRESHOLD)
    assert told["macro_auc"] == told["within_source"]["low"]["auc"]
    assert told["macro_auc_interval"] == told["within_source"]["low"]["interval"]
    assert "source_matrix" not in told


def test_the_matrix_pairs_the_melanomas_of_one_source_with_the_benign_of_another() -> None:
    few = predictions_from("few", mel=[0.5] * 9, nv=[0.5] * 10)
    moles = predictions_from("moles", nv=[0.125] * 10)
    matrix = measure_within(joined(BOTH, few, moles), threshold=THRESHOLD)["source_matrix"]
    parts = {"low": melanomas_of(LOW), "high": melanomas_of(HIGH), "few": few, "moles": moles}
    assert list(matrix) == ["high", "low"]
    for one, row in matrix.items():
        assert list(row) == ["few", "high", "low", "moles"]
        for other, auc in row.items():
            malignant = parts[one].scores[parts[one].labels]
            benign = parts[other].scores[~parts[other].labels]
            labels = [1] * len(malignant) + [0] * len(benign)
            expected = roc_auc_score(labels, np.concatenate([malignant, benign]))
            assert auc == pytest.approx(expected)


def test_the_matrix_shows_a_network_that_only_tells_clinics_apart() -> None:
    sick = predictions_from("sick", mel=[0.75] * 20, nv=[0.75] * 10)
    well = predictions_from("well", mel=[0.25] * 10, nv=[0.25] * 20)
    matrix = measure_matrix(joined(sick, well))
    assert matrix == {"sick": {"sick": 0.5, "well": 1.0}, "well": {"sick": 0.0, "well": 0.5}}


def test_melanomas_are_held_against_keratoses_of_their_own_source() -> None:
    one = predictions_from("one", mel=[0.75, 0.5], bkl=[0.25, 0.5, 0.625], nv=[0.0] * 30)
    two = predictions_from("two", mel=[1.0], bkl=[0.875], bcc=[0.0] * 5)
    three = predictions_from("three", mel=[0.0] * 10, nv=[1.0] * 10)
    found = measure_within(joined(one, two, three), threshold=THRESHOLD)
    # Right are 3 and 1 and a half of six pairs, and the only one of the second source.
    assert found["melanoma_against_keratosis"] == {
        "auc": pytest.approx((3 + 1.5 + 1) / 7),
        "malignant": 3,
        "keratoses": 4,
    }


def test_the_auc_inside_sources_needs_both_classes() -> None:
    scores, labels = np.array([0.9, 0.1, 0.2, 0.8, 0.5]), np.array([1.0, 0.0, 1.0, 0.0, 1.0])
    assert auc_within(scores, labels, ("b", "b", "a", "a", "c")) == {"a": 0.0, "b": 1.0}


def copied(predictions: PredictionSet, times: int, *, is_one_lesion: bool) -> PredictionSet:
    """Each picture that many times, as views of its lesion or as lesions of their own."""

    def view(number: int) -> PredictionSet:
        lesions = (
            origin.lesion if is_one_lesion else f"{origin.lesion} {number}"
            for origin in predictions.origins
        )
        return replace(
            predictions,
            image_ids=tuple(f"{image_id} {number}" for image_id in predictions.image_ids),
            origins=tuple(
                origin._replace(lesion=lesion)
                for origin, lesion in zip(predictions.origins, lesions, strict=True)
            ),
        )

    return joined(*map(view, range(times)))


def interval_of(predictions: PredictionSet) -> Any:
    (found,) = measure_within(predictions, threshold=THRESHOLD)["within_source"].values()
    return np.array(found["interval"])


def test_pictures_of_one_lesion_tell_no_more_than_one_picture() -> None:
    single = interval_of(LOW)
    views = interval_of(copied(LOW, 4, is_one_lesion=True))
    np.testing.assert_allclose(views, single, atol=1e-9)
    others = interval_of(copied(LOW, 4, is_one_lesion=False))
    # Of four times as many lesions the interval is half as wide.
    assert np.ptp(others) == pytest.approx(np.ptp(single) / 2, rel=0.15)
    assert single[0] < others[0] < others[1] < single[1]


def test_single_lesions_have_the_interval_of_a_stratified_bootstrap() -> None:
    judged, random = melanomas_of(LOW), np.random.default_rng(8)
    malignant, benign = judged.scores[judged.labels], judged.scores[~judged.labels]
    drawn = [
        area_under_roc(
            np.concatenate([random.choice(one, len(one)) for one in (malignant, benign)]),
            np.arange(len(judged.labels)) < len(malignant),
        )
        for _ in range(1000)
    ]
    np.testing.assert_allclose(interval_of(LOW), percentile_interval(drawn), atol=0.015)


def test_intervals_are_the_same_again_and_in_any_order() -> None:
    order = np.random.default_rng(3).permutation(len(BOTH.labels))
    mixed = PredictionSet(
        image_ids=tuple(BOTH.image_ids[i] for i in order),
        labels=BOTH.labels[order],
        scores=BOTH.scores[order],
        origins=tuple(BOTH.origins[i] for i in order),
    )
    told, again = (measure_within(one, threshold=THRESHOLD) for one in (BOTH, mixed))
    for name, found in told["within_source"].items():
        assert again["within_source"][name]["interval"] == pytest.approx(found["interval"])
    assert again["macro_auc_interval"] == pytest.approx(told["macro_auc_interval"])


def test_chance_in_one_source_is_not_that_of_another() -> None:
    twin = replace(
        LOW,
        image_ids=tuple(f"twin {image_id}" for image_id in LOW.image_ids),
        origins=tuple(origin._replace(source="twin") for origin in LOW.origins),
    )
    told = measure_within(joined(LOW, twin), threshold=THRESHOLD)
    width = np.ptp(told["macro_auc_interval"])
    assert width == pytest.approx(np.ptp(interval_of(LOW)) / 2**0.5, rel=0.1)


def test_what_is_evaluated_has_the_figures_within_sources() -> None:
    told = measure_within(BOTH, threshold=THRESHOLD)
    for found in (evaluate_at_both(BOTH, threshold=THRESHOLD), measure_set(BOTH, THRESHOLD)):
        assert {name: found[name] for name in told} == told


def record(**told: Any) -> LesionRecord:
    fixed: dict[str, Any] = {"image_id": "a.png", "path": Path("a.png"), "is_malignant": True}
    return LesionRecord(**fixed | told)


@pytest.mark.parametrize(
    ("told", "origin"),
    [
        (
            {"dataset": "set", "lesion_id": "L", "cluster": "c", "clinic": "bcn"},
            Origin(source="BCN", lesion="L", diagnosis=""),
        ),
        (
            {"dataset": "set", "cluster": "c", "attributes": (("age", "50"), ("diagnosis", "mel"))},
            Origin(source="set", lesion="c", diagnosis="mel"),
        ),
        ({}, Origin(source="", lesion="a.png", diagnosis="")),
    ],
)
def test_an_origin_is_told_by_the_record(told: dict[str, Any], origin: Origin) -> None:
    assert origin_of(record(**told)) == origin
    assert make_prediction_set([record(**told)], np.array([0.5])).origins == (origin,)


def test_origins_are_written_and_read_back(tmp_path: Path) -> None:
    odd = Origin(source='a "set", far', lesion="L 1\n2", diagnosis="")
    written = replace(LOW, origins=(odd, *LOW.origins[1:]))
    text = predictions_to_csv(written)
    assert text.startswith("image_id,is_malignant,score,source,lesion,diagnosis\n")
    table = tmp_path / "predictions.csv"
    table.write_text(text, encoding="utf-8", newline="")
    read = read_predictions(table)
    assert (read.image_ids, read.origins) == (written.image_ids, written.origins)
    np.testing.assert_array_equal(read.labels, written.labels)
    np.testing.assert_array_equal(read.scores, written.scores)


def test_an_older_table_has_no_origins(tmp_path: Path) -> None:
    table = tmp_path / "predictions.csv"
    table.write_text("image_id,is_malignant,score\na.png,1,0.5\n", encoding="utf-8")
    assert read_predictions(table).origins == ()


def test_each_picture_has_an_origin_or_none_has() -> None:
    with pytest.raises(ValueError, match=r"^1 origins of \d+ images\.$"):
        replace(LOW, origins=LOW.origins[:1])


def test_what_is_kept_keeps_its_origins() -> None:
    kept = without_images(BOTH, LOW.image_ids)
    assert (kept.image_ids, kept.origins) == (HIGH.image_ids, HIGH.origins)
    plain = predictions_of(malignant=(0.75,), benign=(0.25,))
    assert without_images(plain, ["0.png"]).origins == ()
