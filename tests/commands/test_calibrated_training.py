"""A run that is calibrated differs from the same without by its last layer alone."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_melanoma.evaluation.predictions import read_predictions
from edge_melanoma.evaluation.reliability import TemperatureScaling
from edge_melanoma.machine.schemas import read_json
from edge_melanoma.network.recipes import VARIANTS, Variant
from edge_melanoma.runs.models import TrainedModel, open_run


@pytest.fixture(scope="module")
def retrained_run(
    trained_run: TrainedModel, phantoms: Path, tmp_path_factory: pytest.TempPathFactory
) -> TrainedModel:
    """The fixture `trained_run` again, by a recipe that is calibrated."""
    from edge_melanoma.training.material import TrainingSettings
    from edge_melanoma.training.session import train_variants

    recipe = replace(VARIANTS[Variant.FROZEN], calibrated=True)
    (folder,) = train_variants(
        [phantoms],
        [TrainingSettings(variant=Variant.FROZEN, weights="none", epochs=2, recipe=recipe)],
        out=tmp_path_factory.mktemp("calibrated") / "run",
        cache_folder=trained_run.folder.parent / "cache",
    )
    return open_run(folder)


def scaling_of(run: TrainedModel) -> TemperatureScaling:
    told = run.manifest["calibration"]
    return TemperatureScaling(temperature=told["temperature"], offset=told["offset"])


def arrays_of(run: TrainedModel) -> dict[str, NDArray[np.float32]]:
    from safetensors.numpy import load

    return dict(load(run.weights_path.read_bytes()))


@pytest.fixture(scope="module")
def later_run(trained_run: TrainedModel, tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    """The fixture `trained_run`, calibrated after it was finished."""
    from edge_melanoma.training.record import calibrate_run

    out = tmp_path_factory.mktemp("later") / "run"
    return open_run(calibrate_run(trained_run.folder, out=out, force=False))


@pytest.fixture(
    scope="module", params=["later_run", pytest.param("retrained_run", marks=pytest.mark.thorough)]
)
def calibrated_run(request: pytest.FixtureRequest) -> TrainedModel:
    """Calibrated after it was finished, or at the end of its training."""
    run: TrainedModel = request.getfixturevalue(request.param)
    return run


def test_only_best_is_calibrated_and_the_others_say_so(trained_run: TrainedModel) -> None:
    assert [variant for variant, spec in VARIANTS.items() if spec.calibrated] == [Variant.BEST]
    assert trained_run.manifest["calibration"] is None


def test_the_manifest_tells_the_scaling_and_what_it_brought(calibrated_run: TrainedModel) -> None:
    told = calibrated_run.manifest["calibration"]
    split = read_json(calibrated_run.folder / "split.json")
    assert (told["side"], told["images"]) == ("validation", len(split["validation"]))
    assert {"ece_before", "ece_after", "why", "weights"} <= set(told)
    assert told["log_loss_after"] <= told["log_loss_before"]
    assert calibrated_run.manifest["recipe"]["calibrated"] is True


def test_the_last_layer_alone_is_changed_by_the_formula(
    trained_run: TrainedModel, calibrated_run: TrainedModel
) -> None:
    before, after, scaling = (
        arrays_of(trained_run),
        arrays_of(calibrated_run),
        scaling_of(calibrated_run),
    )
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {"p_malignant/kernel", "p_malignant/bias"}
    kernel, bias = (before[f"p_malignant/{part}"] for part in ("kernel", "bias"))
    np.testing.assert_allclose(after["p_malignant/kernel"], kernel / scaling.temperature, rtol=1e-6)
    np.testing.assert_allclose(
        after["p_malignant/bias"], bias / scaling.temperature + scaling.offset, rtol=1e-6
    )


@pytest.mark.parametrize("side", ["train", "validation", "test"])
def test_every_stored_score_is_the_scaled_one(
    side: str, trained_run: TrainedModel, calibrated_run: TrainedModel
) -> None:
    before, after = (
        read_predictions(run.folder / f"predictions_{side}.csv")
        for run in (trained_run, calibrated_run)
    )
    assert after.image_ids == before.image_ids
    # A float32 score near 1 has lost digits of its logit; the slope is at most 4.
    np.testing.assert_allclose(
        after.scores, scaling_of(calibrated_run).apply(before.scores), rtol=0, atol=1e-4
    )


def test_the_threshold_is_chosen_after_the_scaling(
    trained_run: TrainedModel, calibrated_run: TrainedModel
) -> None:
    before, after = (
        read_json(run.folder / "evaluation.json") for run in (trained_run, calibrated_run)
    )
    assert calibrated_run.threshold != trained_run.threshold
    for name in ("recall", "specificity", "malignant", "benign"):
        assert after["operating_point"][name] == before["operating_point"][name]
    for side in ("train", "validation", "test"):
        assert {"ece", "ece_interval", "brier", "bins"} <= set(after["sides"][side]["calibration"])


@pytest.mark.thorough
def test_the_order_of_the_scores_stays(
    trained_run: TrainedModel, retrained_run: TrainedModel
) -> None:
    # Not of a run calibrated later, which is scored anew: scores nearly equal may change places.
    before, after = (
        read_json(run.folder / "evaluation.json")["sides"] for run in (trained_run, retrained_run)
    )
    for side in ("train", "validation", "test"):
        aucs = [told[side]["at_half"]["metrics"]["auc"] for told in (before, after)]
        assert aucs[0] == pytest.approx(aucs[1], abs=1e-12)


@pytest.mark.thorough
def test_a_finished_run_is_calibrated_as_it_would_have_been(
    trained_run: TrainedModel, retrained_run: TrainedModel, later_run: TrainedModel
) -> None:
    expected = arrays_of(retrained_run)
    for name, array in arrays_of(later_run).items():
        # Both fits start from scores that differ by the order of float32 sums.
        np.testing.assert_allclose(array, expected[name], rtol=1e-3, err_msg=name)
    assert later_run.threshold == pytest.approx(retrained_run.threshold, abs=1e-3)
    assert later_run.manifest["calibrated_from"]["sha256"] == trained_run.sha256
    assert later_run.manifest["recipe"] == retrained_run.manifest["recipe"]
    assert set(later_run.manifest["files"]) == set(retrained_run.manifest["files"])


def test_a_calibrated_run_is_not_calibrated_again(
    edge_melanoma: Callable[..., Any], later_run: TrainedModel, tmp_path: Path
) -> None:
    result = edge_melanoma("calibrate", later_run.folder, "--out", tmp_path / "run")
    assert (result.exit_code, result.stderr) == (
        2,
        f"edge-melanoma: The run {later_run.folder} is calibrated already; export it, or calibrate "
        "another.\n",
    )


def test_a_run_is_not_calibrated_in_place(
    edge_melanoma: Callable[..., Any], trained_run: TrainedModel
) -> None:
    folder = trained_run.folder
    result = edge_melanoma("calibrate", folder, "--out", folder, "--force")
    assert (result.exit_code, result.stderr) == (
        2,
        f"edge-melanoma: --out {folder} is the run itself, which is left as it is; choose another "
        "folder.\n",
    )
