"""Prediction sets are whole, are read back to the last bit, and compare equal pictures only."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_melanoma.data.images import read_image
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.predictions import (
    PredictionSet,
    make_prediction_set,
    predict,
    predictions_to_csv,
    read_predictions,
    refuse_other_images,
)
from edge_melanoma.machine.terminal import SilentReporter
from edge_melanoma.runtime.classifiers import Classifier
from edge_melanoma.runtime.interpreters import Answer


class Brightness(Classifier):
    """A classifier whose score is the share of white in a picture."""

    def stream_answers(self, files: Sequence[Path]) -> Iterator[Answer]:
        for file in files:
            yield Answer(score=float(read_image(file).mean() / 255), integer=None)


def three(
    *,
    ids: tuple[str, ...] = ("a.png", "b.png", "c.png"),
    labels: tuple[bool, ...] = (False, True, True),
    scores: tuple[float, ...] = (0.25, 0.5, 0.75),
) -> PredictionSet:
    return PredictionSet(image_ids=ids, labels=np.array(labels), scores=np.array(scores))


def test_a_score_that_reaches_the_threshold_is_called_malignant() -> None:
    assert three().decisions(threshold=0.5).tolist() == [False, True, True]
    assert three().decisions(threshold=0.51).tolist() == [False, False, True]


def test_scores_of_exactly_0_and_1_are_scores() -> None:
    assert three(scores=(0.0, 1.0, 0.5)).scores.tolist() == [0.0, 1.0, 0.5]


@pytest.mark.parametrize("score", [-0.001, 1.001, float("nan"), float("inf")])
def test_a_score_outside_0_to_1_is_refused(score: float) -> None:
    with pytest.raises(ValueError, match="outside") as caught:
        three(scores=(0.5, score, 0.5))
    assert str(caught.value) == "A score is outside 0..1."


def test_an_id_that_stands_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice") as caught:
        three(ids=("a.png", "b.png", "a.png"))
    assert str(caught.value) == "An image id stands twice in a prediction set."


def test_as_many_ids_as_labels_as_scores_are_needed() -> None:
    with pytest.raises(ValueError, match="as many") as caught:
        three(ids=("a.png",), labels=(True, False))
    assert str(caught.value) == "1 image ids, 2 labels and 3 scores; expected as many of each."


def test_ids_and_labels_come_from_the_records_in_their_order() -> None:
    records = [
        LesionRecord(image_id=name, path=Path(name), is_malignant=is_malignant)
        for name, is_malignant in (("b.png", True), ("a.png", False))
    ]
    predictions = make_prediction_set(records, np.array([0.75, 0.25]))
    assert predictions.image_ids == ("b.png", "a.png")
    assert predictions.labels.tolist() == [True, False]
    assert predictions.scores.tolist() == [0.75, 0.25]


def test_each_picture_gets_its_own_score(tmp_path: Path) -> None:
    greys = {"dark.png": 51, "white.png": 255, "black.png": 0}
    for name, grey in greys.items():
        Image.new("L", (3, 3), grey).save(tmp_path / name)
    records = [
        LesionRecord(image_id=name, path=tmp_path / name, is_malignant=grey > 99)
        for name, grey in greys.items()
    ]
    predictions = predict(Brightness(), records, reporter=SilentReporter(), label="Scoring")
    assert predictions.image_ids == ("dark.png", "white.png", "black.png")
    assert predictions.labels.tolist() == [False, True, False]
    assert predictions.scores.tolist() == [51 / 255, 1.0, 0.0]


def test_the_table_has_a_line_for_each_picture() -> None:
    assert predictions_to_csv(three()) == (
        "image_id,is_malignant,score\na.png,0,0.25\nb.png,1,0.5\nc.png,1,0.75\n"
    )


def test_a_written_table_is_read_back_to_the_last_bit(tmp_path: Path) -> None:
    scores = (0.1 + 0.2, 1 / 3, float(np.nextafter(0, 1)))
    written = three(ids=('train/"a", b.png', "ä.png", "two\nlines.png"), scores=scores)
    table = tmp_path / "predictions.csv"
    table.write_text(predictions_to_csv(written), encoding="utf-8", newline="")
    read = read_predictions(table)
    assert read.image_ids == written.image_ids
    np.testing.assert_array_equal(read.labels, written.labels)
    np.testing.assert_array_equal(read.scores, written.scores)


def test_equal_pictures_with_other_scores_may_be_compared() -> None:
    refuse_other_images(three(), three(scores=(0.0, 0.0, 0.0)))


@pytest.mark.parametrize(
    "other",
    [
        three(ids=("a.png", "b.png", "d.png")),
        three(ids=("b.png", "a.png", "c.png")),
        three(labels=(True, True, True)),
        three(ids=("a.png",), labels=(False,), scores=(0.25,)),
    ],
    ids=["another picture", "another order", "another label", "fewer pictures"],
)
def test_other_pictures_or_labels_are_not_compared(other: PredictionSet) -> None:
    with pytest.raises(EdgeMelanomaError) as caught:
        refuse_other_images(three(), other)
    assert str(caught.value) == (
        "The two prediction sets are of different images; score both models on the same ones."
    )
