"""The most harmful layer is found, kept float, and recall is back; or a sentence says how far."""

from collections.abc import Collection
from typing import Any

import numpy as np
import pytest
from made import predictions_of
from small_network import LAYERS, make_calibration, make_pictures, make_small_network

from edge_melanoma.converters.settings import ExportSettings
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.predictions import PredictionSet
from edge_melanoma.machine.terminal import SilentReporter
from edge_melanoma.runtime.interpreters import SessionSettings, TFLiteSession
from edge_melanoma.runtime.names import Runtime
from edge_melanoma.tflite.modes import Correction, Mode, Output

# At 0.5 all four melanomas are called.
REFERENCE = predictions_of(malignant=(0.9, 0.8, 0.7, 0.6), benign=(0.1,))


def lost(count: int) -> PredictionSet:
    """The reference with its lowest `count` melanomas scored 0."""
    scores = [*(0.9, 0.8, 0.7, 0.6)[: 4 - count], *[0.0] * count]
    return predictions_of(malignant=tuple(scores), benign=(0.1,))


def score_small(data: bytes) -> PredictionSet:
    pictures, labels = make_pictures()
    session = TFLiteSession(SessionSettings(data=data, name="small", runtime=Runtime.LITERT))
    return PredictionSet(
        image_ids=tuple(str(number) for number in range(len(labels))),
        labels=labels,
        scores=np.array([session.score(picture) for picture in pictures]),
    )


def search(
    losses: list[int], *, max_recall_drop: float, most_layers: int = 9, layers: str = "abcdef"
) -> tuple[Any, list[tuple[str, ...]]]:
    """A search through files that lose so many of four melanomas with 0, 1, 2 ... float layers."""
    from edge_melanoma.converters.float_layers import win_back_recall

    asked: list[tuple[str, ...]] = []

    def convert(float_layers: Collection[str]) -> bytes:
        asked.append(tuple(float_layers))
        return bytes(100 + len(float_layers))

    found = win_back_recall(
        convert,
        layers,
        score=lambda data: lost(losses[len(data) - 100]),
        time_cpu=lambda data: 1.5,
        reference=REFERENCE,
        threshold=0.5,
        max_recall_drop=max_recall_drop,
        most_layers=most_layers,
    )
    return found, asked


@pytest.fixture(scope="module")
def converter(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from edge_melanoma.converters.tflite import Int8Converter

    return Int8Converter(
        make_small_network(),
        make_calibration(tmp_path_factory.mktemp("small")),
        ExportSettings(correction=Correction.NONE),
    )


@pytest.fixture(scope="module")
def reference() -> bytes:
    from edge_melanoma.converters.tflite import convert_network

    return convert_network(make_small_network(), Mode.FLOAT32)


def test_the_layer_that_loses_the_score_is_ranked_first_and_won_back(
    converter: Any, reference: bytes
) -> None:
    from edge_melanoma.converters.float_layers import rank_layers, win_back_recall

    pictures, labels = make_pictures()
    harms = rank_layers(converter, reference=reference, images=pictures, reporter=SilentReporter())
    assert sorted(harms) == sorted(LAYERS)
    differences = list(harms.values())
    assert differences == sorted(differences, reverse=True)
    before = score_small(reference)
    # Without hidden's signal every score is sigmoid(-9).
    assert next(iter(harms)) == "hidden"
    assert differences[0] == pytest.approx(before.scores.mean(), abs=1e-3)
    # All others lose some steps of 1/255 of a colour, which 18 and a quarter make a score.
    assert differences[1] < 4 * 18 / 4 / 255

    data, steps = win_back_recall(
        converter.convert,
        tuple(harms),
        score=score_small,
        time_cpu=lambda data: 1.5,
        reference=before,
        threshold=0.5,
        max_recall_drop=0.0,
    )
    assert [step["recall_drop"] for step in steps] == [1.0, 0.0]
    assert steps[-1]["float_layers"] == ("hidden",)
    decisions = score_small(data).decisions(threshold=0.5)
    assert decisions.tolist() == labels.tolist()


def test_every_layer_but_the_last_is_judged_by_a_score_without_steps(
    converter: Any, reference: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_melanoma.converters.float_layers import rank_layers

    outputs = {}

    def convert(float_layers: Collection[str], *, output: Output) -> bytes:
        (alone,) = set(LAYERS) - set(float_layers)
        outputs[alone] = output
        return reference

    monkeypatch.setattr(converter, "convert", convert)
    pictures = make_pictures()[0][:1]
    rank_layers(converter, reference=reference, images=pictures, reporter=SilentReporter())
    floats = dict.fromkeys(LAYERS, Output.FLOAT32)
    assert outputs == {**floats, "p_malignant": Output.PROBABILITY}


def test_a_file_that_loses_nothing_keeps_no_layer_float() -> None:
    (data, steps), asked = search([0], max_recall_drop=0.0)
    assert (steps[-1]["float_layers"], data, asked) == ((), bytes(100), [()])


def test_one_more_layer_a_step_until_the_drop_is_small_enough() -> None:
    (data, steps), asked = search([3, 2, 2, 1, 0], max_recall_drop=0.25)
    assert asked == [(), ("a",), ("a", "b"), ("a", "b", "c")]
    assert steps[-1]["float_layers"] == ("a", "b", "c")
    assert data == bytes(103)
    assert [(s["float_layers"], s["recall_drop"], s["size_bytes"]) for s in steps] == [
        ((), 0.75, 100),
        (("a",), 0.5, 101),
        (("a", "b"), 0.5, 102),
        (("a", "b", "c"), 0.25, 103),
    ]


def test_a_layer_that_makes_it_worse_is_put_back() -> None:
    from edge_melanoma.converters.float_layers import win_back_recall

    losses = {"": 3, "a": 2, "ab": 3, "ac": 1, "acd": 2, "ace": 0}
    data, steps = win_back_recall(
        lambda float_layers: "".join(float_layers).encode(),
        "abcde",
        score=lambda data: lost(losses[data.decode()]),
        time_cpu=lambda data: 1.5,
        reference=REFERENCE,
        threshold=0.5,
        max_recall_drop=0.0,
    )
    assert data == b"ace"
    assert ["".join(step["float_layers"]) for step in steps] == list(losses)


def test_a_gain_of_recall_is_no_drop() -> None:
    (_, steps), _ = search([0], max_recall_drop=-0.0)
    assert steps[0]["recall_drop"] == 0.0


@pytest.mark.parametrize(
    ("most_layers", "tried", "best"),
    [(3, 3, "0.2500 with a, b in float"), (0, 0, "0.7500 with none in float")],
)
def test_when_it_cannot_be_reached_the_sentence_names_the_best_that_was(
    most_layers: int, tried: int, best: str
) -> None:
    with pytest.raises(EdgeMelanomaError) as caught:
        search([3, 2, 1, 1, 0], max_recall_drop=0.005, most_layers=most_layers)
    assert str(caught.value) == (
        f"With {tried} layers tried in float the recall drop on validation stays above 0.005; the "
        f"least was {best}: allow a larger --max-recall-drop, or export float16."
    )


def test_a_drop_of_just_what_is_allowed_is_allowed() -> None:
    from edge_melanoma.converters.float_layers import win_back_recall

    # 1000 melanomas of which 5 are lost: 1 - 0.995 is 0.005 and a rounding more.
    before = predictions_of(malignant=(0.9,) * 1000, benign=(0.1,))
    after = predictions_of(malignant=(0.9,) * 995 + (0.1,) * 5, benign=(0.1,))
    _, steps = win_back_recall(
        lambda float_layers: b"",
        [],
        score=lambda data: after,
        time_cpu=lambda data: 1.5,
        reference=before,
        threshold=0.5,
        max_recall_drop=0.005,
    )
    assert steps[0]["recall_drop"] == 0.005


def test_other_pictures_than_the_reference_s_are_refused() -> None:
    from edge_melanoma.converters.float_layers import win_back_recall

    with pytest.raises(EdgeMelanomaError, match="different images"):
        win_back_recall(
            lambda float_layers: b"",
            [],
            score=lambda data: predictions_of(malignant=(0.9,), benign=(0.1,)),
            time_cpu=lambda data: 1.5,
            reference=REFERENCE,
            threshold=0.5,
            max_recall_drop=0.005,
        )
