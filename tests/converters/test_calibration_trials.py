"""One trial after another: converted as an export is, scored, and counted by hand."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made import predictions_of
from numpy.typing import NDArray
from small_network import GREENS, make_calibration, make_small_network

from edge_melanoma.converters.calibration_trials import (
    TrialOrder,
    convert_int8,
    run_trials,
    try_subsets,
)
from edge_melanoma.converters.settings import ExportSettings
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.predictions import make_prediction_set, predictions_to_csv
from edge_melanoma.machine.files import sha256_of, write_json
from edge_melanoma.machine.terminal import SilentReporter
from edge_melanoma.tflite.modes import Backend, Correction, InputOutput, Mode, Output

# At 0.5 all four melanomas are called, and no benign picture.
REFERENCE = predictions_of(malignant=(0.9, 0.8, 0.7, 0.6), benign=(0.4, 0.3, 0.2, 0.1))


def test_a_trial_is_counted_by_hand(tmp_path: Path) -> None:
    calibration = make_calibration(tmp_path)
    files = iter((b"same", b"other"))
    # One melanoma falls from 0.6 to 0.4, where a benign picture is: 15 and a half of 16 pairs.
    lost = predictions_of(malignant=(0.9, 0.8, 0.7, 0.4), benign=(0.4, 0.3, 0.2, 0.1))
    same, other = try_subsets(
        [calibration, calibration],
        convert=lambda _: next(files),
        score=lambda data: {b"same": REFERENCE, b"other": lost}[data],
        reference=REFERENCE,
        threshold=0.5,
        reporter=SilentReporter(),
    )
    assert (same.recall, same.auc, same.mean_score_difference, same.agreement) == (1, 1, 0, 1)
    assert (other.recall, other.specificity, other.auc) == (3 / 4, 1, 15.5 / 16)
    assert other.mean_score_difference == pytest.approx(0.2 / 8)
    assert other.agreement == 7 / 8
    assert (other.images, other.fingerprint) == (10, calibration.fingerprint)
    assert (same.file_sha256, other.file_sha256) == (sha256_of(b"same"), sha256_of(b"other"))


def test_scores_of_other_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EdgeMelanomaError, match="are of different images"):
        try_subsets(
            [make_calibration(tmp_path)],
            convert=lambda _: b"",
            score=lambda _: predictions_of(malignant=(0.9,), benign=(0.1,)),
            reference=REFERENCE,
            threshold=0.5,
            reporter=SilentReporter(),
        )


@pytest.fixture
def small_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[ExportSettings], TrialOrder]:
    """An order for a run whose network is the small one, and whose stored scores are its own.

    Of the two subsets the first is an export's own; the other's pictures are darker.
    """
    from edge_melanoma.converters import conversion
    from edge_melanoma.network import network

    for module in (network, conversion):
        monkeypatch.setattr(module, "load_network", lambda _: make_small_network())
    own = make_calibration(tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(b"weights")
    manifest = {
        "variant": "small",
        "operating_point": {"threshold": 0.5},
        "files": {"weights.safetensors": {"sha256": sha256_of(b"weights")}},
    }
    write_json(tmp_path / "manifest.json", manifest)
    stored = make_prediction_set(own.records, float_scores([*GREENS[False], *GREENS[True]]))
    (tmp_path / "predictions_validation.csv").write_text(predictions_to_csv(stored))
    return lambda settings: TrialOrder(
        folder=tmp_path,
        settings=settings,
        own=own,
        subsets=(own, replace(own, records=own.records[1:6])),
        validation=own.records,
    )


def float_scores(greens: Sequence[float]) -> NDArray[np.float64]:
    """What the small network gives."""
    scores: NDArray[np.float64] = 1 / (1 + np.exp(9 - 18 * np.array(greens) / 255))
    return scores


def export_of(order: TrialOrder) -> bytes:
    """The int8 file of an export with the order's settings."""
    from edge_melanoma.converters.conversion import convert_modes
    from edge_melanoma.converters.job import ConversionOrder

    export = ConversionOrder(
        folder=order.folder,
        modes=(Mode.INT8,),
        settings=order.settings,
        calibration=order.own,
        sides={},
        checkpoint_folder=order.folder,
        cache_folder=order.folder,
    )
    return convert_modes(export)[Mode.INT8].data


@pytest.mark.parametrize(
    "settings",
    [
        ExportSettings(io=InputOutput.UINT8, output=Output.FLOAT32, correction=Correction.NONE),
        ExportSettings(backend=Backend.LITERT, output=Output.LOGIT),
    ],
    ids=["uncorrected with a float end", "logit by litert"],
)
def test_a_subset_is_converted_as_an_export_is(
    small_order: Callable[[ExportSettings], TrialOrder], settings: ExportSettings
) -> None:
    from edge_melanoma.converters.networks.folding import fold_batch_norm
    from edge_melanoma.converters.networks.pruning import prune_dead_channels

    order = small_order(settings)
    network, _ = prune_dead_channels(fold_batch_norm(make_small_network()), order.own.batches())
    assert convert_int8(network, order.own, settings) == export_of(order)


def test_every_subset_calibrates_its_file_and_an_export_s_own_gives_the_export(
    small_order: Callable[[ExportSettings], TrialOrder], monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_melanoma.converters.networks import pruning

    pruned_by = []

    def prune(network: Any, batches: Iterable[NDArray[np.float32]]) -> tuple[Any, tuple[()]]:
        pruned_by.append(np.concatenate(list(batches)))
        return network, ()

    monkeypatch.setattr(pruning, "prune_dead_channels", prune)
    order = small_order(ExportSettings())
    own, darker = run_trials(order)
    (images,) = pruned_by
    assert np.array_equal(images, np.concatenate(list(order.own.batches())))
    assert (own.images, darker.images) == (10, 5)
    assert own.file_sha256 == sha256_of(export_of(order)) != darker.file_sha256
    # Green is rounded away, and the corrected bias holds its mean: one score for all ten pictures,
    # which is below 0.5 as the means of both subsets' greens, 125 and 98, are below 127.5.
    for trial in (own, darker):
        assert (trial.recall, trial.specificity, trial.auc) == (0.0, 1.0, 0.5)
        assert trial.agreement == 0.5
