"""The model in the package: what of a run travels, and how commands find it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ship
from conftest import CommandResult

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.runs import bundled
from edge_melanoma.runs.converted import open_converted
from edge_melanoma.runs.models import TrainedModel, open_run
from edge_melanoma.runs.recorded_files import verify_run
from edge_melanoma.tflite.metadata import Seal, read_seal


@pytest.fixture
def package(exported_run: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package folder that holds the small run of the tests."""
    folder = tmp_path / "package" / "bundled_run"
    model = exported_run.exports_folder / "model_int8.tflite"
    # The small run keeps its weights in float32: twice the size of what ships.
    monkeypatch.setattr(ship, "LARGEST_SIZE_BYTES", 13_000_000)
    ship.bundle_run(exported_run, model=model, target=folder)
    monkeypatch.setattr(bundled, "FOLDER", folder)
    working = tmp_path / "working"
    working.mkdir()
    monkeypatch.chdir(working)
    return folder


def test_a_bundle_is_a_run_with_its_int8_file(package: Path, exported_run: TrainedModel) -> None:
    assert bundled.bundled_run().sha256 == exported_run.sha256
    assert open_converted(bundled.bundled_model()).mode == "int8"
    assert not bundled.bundled_model().with_suffix(".evaluation.json").exists()
    licence = (package / "LICENSE.md").read_text()
    assert (
        "no data set card (dataset.toml): source, licence and label definition unknown" in licence
    )


def test_nothing_in_a_bundle_names_a_folder_of_the_machine(
    package: Path, exported_run: TrainedModel, phantoms: Path
) -> None:
    for path in package.rglob("*"):
        if path.suffix in {".json", ".csv", ".md"}:
            text = path.read_text(encoding="utf-8")
            assert str(phantoms) not in text
            assert str(exported_run.folder.parent) not in text


def test_what_the_int8_file_was_measured_to_do_travels_with_it(
    package: Path, exported_run: TrainedModel, tmp_path: Path
) -> None:
    exports = tmp_path / "exports"
    shutil.copytree(exported_run.exports_folder, exports)
    told = {"threshold": 0.5, "dataset": {"folder": str(tmp_path / "pictures")}}
    (exports / "model_int8.evaluation.json").write_text(json.dumps(told))
    target = tmp_path / "again"
    ship.bundle_run(exported_run, model=exports / "model_int8.tflite", target=target)
    kept = json.loads((target / "exports" / "model_int8.evaluation.json").read_text())
    assert kept == {"threshold": 0.5, "dataset": {"folder": "pictures"}}


def test_all_files_of_a_bundle_are_recorded_as_they_are(package: Path) -> None:
    assert not verify_run(package)["findings"]


def test_the_model_that_ships_is_sealed_and_recorded_as_it_is() -> None:
    model = bundled.bundled_model()
    assert read_seal(model.read_bytes()) is Seal.INTACT
    assert not verify_run(bundled.bundled_run().folder)["findings"]


def test_what_is_larger_than_may_ship_is_refused(
    exported_run: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ship, "LARGEST_SIZE_BYTES", 1000)
    model = exported_run.exports_folder / "model_int8.tflite"
    size = exported_run.weights_path.stat().st_size + model.stat().st_size
    with pytest.raises(EdgeMelanomaError) as caught:
        ship.bundle_run(exported_run, model=model, target=tmp_path / "b")
    assert str(caught.value) == (
        f"{exported_run.folder} has {size:,} bytes of weights and int8; at most 1,000 may ship."
    )
    assert not (tmp_path / "b").exists()


def test_a_card_travels_without_its_pictures() -> None:
    card = "## Worst failures\n\nThe worst of 3:\n\n![a sheet](failures/miss.png)\n\nEnd.\n"
    assert ship.without_pictures(card) == "## Worst failures\n\nThe worst of 3:\n\n\nEnd.\n"


def test_predict_bundled_scores_as_the_file_does(
    package: Path, phantoms: Path, exported_run: TrainedModel, edge_melanoma: Callable[..., Any]
) -> None:
    picture = next(phantoms.rglob("*.png"))
    told = edge_melanoma("predict", "bundled", picture, "--json")
    model = exported_run.exports_folder / "model_int8.tflite"
    expected = edge_melanoma("predict", model, picture, "--json")
    assert told.exit_code == 0, told.stderr
    (row,), (same,) = json.loads(told.stdout), json.loads(expected.stdout)
    assert row["output_integer"] == same["output_integer"]
    assert row["threshold"] == same["threshold"]


def test_a_run_folder_named_bundled_comes_first(package: Path) -> None:
    assert bundled.is_bundled(Path("bundled"))
    Path("bundled").mkdir()
    assert not bundled.is_bundled(Path("bundled"))


def test_commands_write_into_a_copy_that_is_made_once(package: Path) -> None:
    copy = bundled.find_run_or_bundled(Path("bundled"))
    assert copy.folder == Path("bundled-run")
    (copy.folder / "exports" / "mine.txt").write_text("kept")
    assert bundled.find_run_or_bundled(Path("bundled")).sha256 == copy.sha256
    assert (copy.folder / "exports" / "mine.txt").read_text() == "kept"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("card",), "pictures that a run was trained on"),
        (("calibrate",), "pictures that a run was trained on"),
        (("export", "--quantize", "int8"), "pictures that a run was trained on"),
        (("report",), "edge-melanoma bench bundled --data DIR"),
    ],
)
def test_what_needs_more_than_the_package_has_says_so_and_leaves_nothing(
    arguments: tuple[str, ...],
    told: str,
    edge_melanoma: Callable[..., CommandResult],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    result = edge_melanoma(*arguments, "bundled")
    assert result.exit_code == 2
    assert told in result.stderr
    assert not list(tmp_path.iterdir())


def test_a_copy_of_another_model_is_not_replaced(package: Path) -> None:
    copy = bundled.find_run_or_bundled(Path("bundled")).folder
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["files"]["weights.safetensors"]["sha256"] = "0" * 64
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(EdgeMelanomaError) as caught:
        bundled.find_run_or_bundled(Path("bundled"))
    assert str(caught.value) == (
        "bundled-run holds another model than the one in the package; move it away."
    )


def test_a_package_without_a_model_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "bundled_run"
    monkeypatch.setattr(bundled, "FOLDER", folder)
    with pytest.raises(EdgeMelanomaError) as caught:
        bundled.bundled_model()
    assert str(caught.value) == (
        f"This copy of edge-melanoma holds no trained model ({folder} is missing); install the "
        "whole package, or name a run folder or a .tflite file."
    )


def test_a_training_starts_from_all_that_it_shares_with_the_bundled_model(package: Path) -> None:
    from edge_melanoma.network.network import arrays_of, build_network, read_safetensors
    from edge_melanoma.network.recipes import VARIANTS, Variant
    from edge_melanoma.network.starting_weights import load_backbone_weights

    theirs = read_safetensors(bundled.bundled_run())
    whole, compact = (build_network(VARIANTS[v], seed=5) for v in (Variant.BEST, Variant.COMPACT))
    head = {n: a for n, a in arrays_of(compact).items() if n.startswith(("hidden", "p_malig"))}
    for network, own in ((whole, {}), (compact, head)):
        load_backbone_weights(network, "bundled")
        for name, array in arrays_of(network).items():
            np.testing.assert_array_equal(array, own.get(name, theirs[name]), err_msg=name)


def test_weights_are_stored_in_half_where_the_recipe_says_so(trained_run: TrainedModel) -> None:
    from edge_melanoma.network.network import arrays_of, load_network, round_to_half

    network = load_network(open_run(trained_run.folder))
    round_to_half(network)
    for name, array in arrays_of(network).items():
        assert array.dtype == np.float32, name
        np.testing.assert_array_equal(array, array.astype(np.float16), err_msg=name)
