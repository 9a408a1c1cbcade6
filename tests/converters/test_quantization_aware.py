"""Training in int8: gone on with after a kill as if there had been none, best weights kept."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray
from small_network import make_calibration, make_pictures, make_sound_network

from edge_melanoma.converters.settings import TuningSettings
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.predictions import make_prediction_set
from edge_melanoma.machine.terminal import SilentReporter
from edge_melanoma.tflite.modes import Output

T = TypeVar("T")
SETTINGS = TuningSettings(epochs=3, learning_rate=0.01, batch_size=4)
SECOND = "int8-qat 2/3"


class KilledError(Exception):
    """In place of the end of a process."""


class WatchingReporter(SilentReporter):
    """Keeps what was tracked; ends the work when what it is told to stop at begins."""

    def __init__(self, stop_at: str = "never") -> None:
        self.labels: list[str] = []
        self._stop_at = stop_at

    def track(self, items: Iterable[T], *, label: str, total: int) -> Iterator[T]:
        self.labels.append(label)
        if label == self._stop_at:
            raise KilledError
        yield from items


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A folded network, its ranges, and a lesson whose scores it does not give yet."""
    from edge_melanoma.converters.networks.bias_correction import measure_ranges
    from edge_melanoma.converters.networks.rewriting import fold_batch_norm
    from edge_melanoma.converters.quantization_aware import Lesson

    calibration = make_calibration(tmp_path_factory.mktemp("small"))
    records = [replace(r, sha256=f"{n:064x}") for n, r in enumerate(calibration.records)]
    folded = fold_batch_norm(make_sound_network())
    _, labels = make_pictures()
    scores = make_prediction_set(records, np.where(labels, 0.8, 0.3).astype(np.float64))
    lesson = Lesson(
        train=records,
        validation=records,
        train_scores=scores,
        validation_scores=scores,
        threshold=0.5,
        seed=0,
    )
    return folded, measure_ranges(folded, calibration.batches()), lesson


@pytest.fixture(autouse=True)
def short_tail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of six layers before the pooling, the last two learn."""
    monkeypatch.setattr("edge_melanoma.converters.quantization_aware.TRAINED_LAYERS", 2)


def tune(start: Any, folder: Path, **others: Any) -> Any:
    from edge_melanoma.converters.quantization_aware import tune_quantised

    network, ranges, lesson = start
    choices: dict[str, Any] = {"settings": SETTINGS, "reporter": SilentReporter(), **others}
    return tune_quantised(
        network,
        ranges,
        lesson,
        choices.pop("settings"),
        output=Output.PROBABILITY,
        checkpoint_folder=folder,
        cache_folder=folder / "cache",
        **choices,
    )


def weights_of(tuned: Any) -> list[NDArray[Any]]:
    return [weight.numpy() for weight in tuned.network.weights]


@pytest.mark.thorough
def test_a_killed_training_ends_with_the_weights_of_one_that_was_not(
    start: Any, tmp_path: Path
) -> None:
    straight = tune(start, tmp_path / "straight")
    with pytest.raises(KilledError):
        tune(start, tmp_path / "killed", reporter=WatchingReporter(stop_at=SECOND))
    watcher = WatchingReporter()
    resumed = tune(start, tmp_path / "killed", reporter=watcher)
    assert watcher.labels == [SECOND, "int8-qat 3/3"]
    assert [row["epoch"] for row in resumed.history] == [1, 2, 3]
    for one, other in zip(weights_of(straight), weights_of(resumed), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_checkpoint_of_other_settings_is_refused(start: Any, tmp_path: Path) -> None:
    with pytest.raises(KilledError):
        tune(start, tmp_path, reporter=WatchingReporter(stop_at=SECOND))
    with pytest.raises(EdgeMelanomaError, match="was made with other settings"):
        tune(start, tmp_path, settings=replace(SETTINGS, learning_rate=0.02))


def test_only_the_layers_after_the_cut_learn(start: Any, tmp_path: Path) -> None:
    from edge_melanoma.converters.quantization_aware import make_quantised

    tuned = tune(start, tmp_path)
    assert (tuned.cut, tuned.best_epoch > 0) == ("stem_relu", True)
    before = make_quantised(start[0], start[1], output=Output.PROBABILITY)
    changed = {
        weight.name.split("/")[0]
        for weight, other in zip(tuned.network.weights, before.weights, strict=True)
        if not np.array_equal(weight.numpy(), other.numpy())
    }
    assert "stem" not in changed
    assert changed >= {"hidden", "logit"}


def test_a_rate_that_ruins_the_scores_leaves_the_start(start: Any, tmp_path: Path) -> None:
    from edge_melanoma.converters.quantization_aware import make_quantised
    from edge_melanoma.data.images import scale_pixels

    network, ranges, lesson = start
    quantised = make_quantised(network, ranges, output=Output.PROBABILITY)
    own = quantised(scale_pixels(make_pictures()[0]), training=False).numpy()[:, 0]
    scores = replace(lesson.train_scores, scores=own.astype(np.float64))
    kept = replace(lesson, train_scores=scores, validation_scores=scores)
    ruinous = replace(SETTINGS, learning_rate=10.0)
    tuned = tune((network, ranges, kept), tmp_path, settings=ruinous)
    assert tuned.best_epoch == 0
    for one, other in zip(weights_of(tuned), [w.numpy() for w in quantised.weights], strict=True):
        np.testing.assert_array_equal(one, other)
