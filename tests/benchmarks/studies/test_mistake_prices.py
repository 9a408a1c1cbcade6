"""The price of each mistake for a model that calls light pictures malignant."""

import pytest
from PIL import Image
from tflite_files import mean_model

from edge_melanoma.benchmarks.studies.mistakes import (
    COLUMNS,
    CORRECT,
    MISTAKES,
    MistakePrice,
    mistake_section,
    price_mistakes,
)
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.evaluation.metrics import Metrics
from edge_melanoma.machine.terminal import SilentReporter
from edge_melanoma.runtime.interpreters import SessionSettings
from edge_melanoma.runtime.names import Runtime

MODEL = SessionSettings(
    data=mean_model(tensor="", signature="p_malignant"), name="int8", runtime=Runtime.LITERT
)


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> list[MistakePrice]:
    """Greys 20 and 60 are benign, 200 and 255 malignant; the mean tells them apart."""
    folder, records = tmp_path_factory.mktemp("greys"), []
    for grey in (20, 60, 200, 255):
        path = folder / f"{grey}.png"
        Image.new("RGB", (224, 224), (grey, grey, grey)).save(path)
        records.append(LesionRecord(image_id=path.name, path=path, is_malignant=grey > 100))
    return price_mistakes(MODEL, records, threshold=0.5, reporter=SilentReporter())


def price_of(name: str, prices: list[MistakePrice]) -> MistakePrice:
    return next(price for price in prices if price.mistake == name)


def test_without_a_mistake_nothing_is_lost(prices: list[MistakePrice]) -> None:
    right = prices[0]
    assert right.mistake == CORRECT
    assert right.metrics is not None
    assert (right.metrics.recall, right.metrics.specificity) == (1.0, 1.0)
    assert right.images_changed == 0


@pytest.mark.parametrize(
    ("name", "lost_recall", "lost_specificity", "changed"),
    [
        # Every grey above 0 is white.
        ("no division", 0.0, 1.0, 3),
        # Only white stays light.
        ("whole division", 0.5, 0.0, 3),
        # 200 is the integer of the dark grey 72; 255 that of 127, which the output's quarter steps
        # round to .5; 20 and 60 are those of lighter ones than 128.
        ("signed bytes", 0.5, 1.0, 4),
        # 200 is -1 + 200 / 127.5 = .57, still light.
        ("[-1,1]", 0.0, 0.0, 3),
        ("BGR", 0.0, 0.0, 0),
        ("EXIF ignored", 0.0, 0.0, 0),
    ],
)
def test_each_mistake_has_the_price_that_can_be_counted(
    name: str,
    lost_recall: float,
    lost_specificity: float,
    changed: int,
    prices: list[MistakePrice],
) -> None:
    price = price_of(name, prices)
    assert (price.lost_recall, price.lost_specificity) == (lost_recall, lost_specificity)
    assert price.images_changed == changed


def test_the_dearest_in_recall_comes_first(prices: list[MistakePrice]) -> None:
    assert len(prices) == 1 + len(MISTAKES)
    assert [price.mistake for price in prices[1:3]] == ["signed bytes", "whole division"]
    lost = [price.lost_recall for price in prices[1:]]
    assert lost == sorted(lost, reverse=True)


def test_the_table_and_the_json_hold_every_mistake(prices: list[MistakePrice]) -> None:
    section = mistake_section(prices)
    assert all(len(row) == len(COLUMNS) for row in section.rows)
    row = section.rows[1]
    assert (row[0], row[2:6]) == ("signed bytes", ("0.5000", "+0.5000", "0.0000", "+1.0000"))
    entry = section.content[1]
    assert (entry["mode"], entry["mistake"], entry["recall"]) == ("int8", "signed bytes", 0.5)
    assert {"specificity", "auc", "lost_recall", "lost_specificity", "lost_auc"} <= set(entry)


def test_a_mistake_that_cannot_be_made_comes_last_without_figures() -> None:
    metrics = Metrics(recall=1, specificity=1, precision=1, f1=1, accuracy=1, auc=1)
    made = MistakePrice(
        mode="int8", mistake="BGR", what="changed over", images_changed=1, metrics=metrics
    )
    other = MistakePrice(
        mode="int8", mistake="signed bytes", what="wrapped", images_changed=0, metrics=None
    )
    section = mistake_section([made, other])
    assert section.rows[1][:3] == ("signed bytes", "wrapped", "cannot be made")
    assert section.content[1] == {
        "mode": "int8",
        "mistake": "signed bytes",
        "what": "wrapped",
        "skipped": "the input tensor does not allow it",
    }
