"""The bundle for apps: what is in it, that it is the checked-in one, and what is refused."""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_melanoma.converters.model_info import describe_operating_point
from edge_melanoma.converters.packing import make_uint8_twin, without_gate
from edge_melanoma.converters.phone import bundle
from edge_melanoma.converters.phone.bundle import bundle_files, choose_int8_export, write_bundle
from edge_melanoma.converters.phone.golden_vectors import (
    describe_vectors,
    prepare_pixels,
    run_model,
)
from edge_melanoma.data.crops import Crop
from edge_melanoma.data.images import decode_image
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.runs.bundled import bundled_run
from edge_melanoma.runs.converted import ConvertedModel, open_converted
from edge_melanoma.runs.models import TrainedModel, open_run
from edge_melanoma.runtime.interpreters import SessionSettings, TFLiteSession
from edge_melanoma.runtime.names import Runtime
from edge_melanoma.tflite.metadata import read_attached_files
from edge_melanoma.tflite.modes import Mode

CHECKED_IN = Path(__file__).parents[3] / "android_assets"
ASSETS = Path("app/src/main/assets")
GOLDEN = Path("app/src/androidTest/assets/golden")


@pytest.fixture(scope="module")
def info(android_bundle_folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(
        (android_bundle_folder / ASSETS / "model_info.json").read_text()
    )
    return content


@pytest.fixture(scope="module")
def golden(android_bundle_folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(
        (android_bundle_folder / GOLDEN / "golden.json").read_text()
    )
    return content


@pytest.fixture
def small_run(tmp_path: Path) -> TrainedModel:
    """A copy of the run that ships, to be changed."""
    folder = tmp_path / "run"
    shutil.copytree(bundled_run().folder, folder)
    return open_run(folder)


def change_manifest(run: TrainedModel, **changes: object) -> None:
    path = run.exports_folder / "model_int8.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def refusal_of(run: TrainedModel, mode: Mode | None = None) -> str:
    with pytest.raises(EdgeMelanomaError) as caught:
        bundle_files(run, choose_int8_export(run, mode), float16=None, crop=Crop.NONE)
    return str(caught.value)


def test_the_checked_in_bundle_is_what_the_command_writes(android_bundle_folder: Path) -> None:
    written = {
        path.relative_to(android_bundle_folder): path.read_bytes()
        for path in android_bundle_folder.rglob("*")
        if path.is_file()
    }
    listed = [*bundle.hand_written_files(CHECKED_IN), *bundle.GENERATED]
    kept = {Path(name) for name in listed if (CHECKED_IN / name).is_file()}
    assert written.keys() == kept
    different = [str(name) for name in kept if (CHECKED_IN / name).read_bytes() != written[name]]
    assert not different, "make it again: edge-melanoma android bundled --force"


def test_a_bundle_is_small_and_sha256sum_finds_all_of_it(android_bundle_folder: Path) -> None:
    files = [path for path in android_bundle_folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 8_000_000
    sums = (android_bundle_folder / "SHA256SUMS").read_text().splitlines()
    assert len(sums) == len(files) - 1
    command = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
    subprocess.run(command, cwd=android_bundle_folder, check=True)


def test_both_models_are_described_as_they_are(
    android_bundle_folder: Path, info: dict[str, Any]
) -> None:
    signed, unsigned = info["models"]
    assert [model["file"] for model in info["models"]] == [
        "melanoma_int8.tflite",
        "melanoma_uint8.tflite",
    ]
    for model in info["models"]:
        # Refuses any other file, as there is no manifest beside it.
        converted = open_converted(android_bundle_folder / ASSETS / model["file"])
        assert (converted.sha256, converted.size_bytes) == (model["sha256"], model["size_bytes"])
    assert unsigned["threshold"]["integer"] == signed["threshold"]["integer"] + 128
    assert (
        signed["threshold"]["integer"]
        == open_converted(bundled_run().exports_folder / "model_int8.tflite").manifest[
            "operating_point"
        ]["integer"]
    )
    rules = [
        (model["input"]["dtype"], model["input"]["integer_rule"], model["output"]["rule"])
        for model in info["models"]
    ]
    assert rules == [
        ("int8", "q = p - 128", "p = (q + 128) / 256"),
        ("uint8", "q = p", "p = q / 256"),
    ]


def test_what_is_attached_to_a_model_is_what_lies_beside_it_without_hashes(
    android_bundle_folder: Path, info: dict[str, Any]
) -> None:
    for model in info["models"]:
        attached = read_attached_files(
            (android_bundle_folder / ASSETS / model["file"]).read_bytes()
        )
        told = json.loads(attached["model_info.json"])
        for inner, outer in zip(told["models"], info["models"], strict=True):
            assert outer == inner | {"sha256": outer["sha256"], "size_bytes": outer["size_bytes"]}
        assert {**told, "models": None} == {**info, "models": None}
        assert (
            attached["labels.txt"] == (android_bundle_folder / ASSETS / "labels.txt").read_bytes()
        )


def test_the_operating_point_comes_with_every_set_it_was_measured_on(info: dict[str, Any]) -> None:
    point = info["operating_point"]
    kinds = [row["set"].rpartition(", ")[2] for row in point["measured"]]
    assert kinds[0] == "validation side"
    assert "test side" in kinds
    assert "from elsewhere" in kinds
    for row in point["measured"]:
        assert row["benign"] + row["malignant"] == row["images"]
        for metric in ("recall", "specificity"):
            low, high = row[f"{metric}_interval"]
            assert 0 <= low <= row[metric] <= high <= 1


def test_golden_vectors_are_16_pictures_of_both_formats_and_all_turns(
    golden: dict[str, Any],
) -> None:
    vectors = golden["vectors"]
    assert len(vectors) == 16
    assert {vector["exif_orientation"] for vector in vectors} == set(range(1, 9))
    assert {Path(vector["file"]).suffix for vector in vectors} == {".png", ".jpg"}
    assert sum(vector["width"] % 2 or vector["height"] % 2 for vector in vectors) >= 12
    for vector in vectors:
        assert vector["uint8_output"] == vector["int8_output"] + 128
        assert vector["p_malignant"] == vector["uint8_output"] / 256
    assert len({vector["uint8_output"] for vector in vectors}) > 8


def test_the_tolerance_for_other_kernels_lets_no_wrong_colour_order_pass(
    android_bundle_folder: Path, golden: dict[str, Any]
) -> None:
    steps = golden["tolerance"]["other_kernels"]["output_steps"]
    images = [
        prepare_pixels(
            decode_image((android_bundle_folder / GOLDEN / v["file"]).read_bytes(), name=v["file"]),
            Crop.NONE,
            size=224,
        )[:, :, ::-1]
        for v in golden["vectors"]
    ]
    model = (android_bundle_folder / ASSETS / "melanoma_int8.tflite").read_bytes()
    changed = np.array(run_model(model, images).integers) - [
        vector["int8_output"] for vector in golden["vectors"]
    ]
    assert 2 <= steps < 64
    assert np.abs(changed).max() > steps


@pytest.mark.thorough
def test_a_centre_crop_is_recorded_and_changes_what_is_not_square(
    android_bundle_folder: Path, golden: dict[str, Any]
) -> None:
    names = ["golden_01.png", "golden_06.png"]
    pictures = {name: (android_bundle_folder / GOLDEN / name).read_bytes() for name in names}
    model = open_converted(bundled_run().exports_folder / "model_int8.tflite")
    told = describe_vectors(
        pictures,
        int8=model.data,
        uint8=make_uint8_twin(without_gate(model.data)),
        gate=model.gate,
        counts=model.manifest.get("counts"),
        crop=Crop.CENTRE,
        size=224,
    )
    square, wide = told["vectors"]
    whole = {vector["file"]: vector for vector in golden["vectors"]}
    assert told["crop"] == "centre"
    assert square == whole["golden_01.png"]
    assert wide["decoded_sha256"] == whole["golden_06.png"]["decoded_sha256"]
    assert wide["resized_sha256"] != whole["golden_06.png"]["resized_sha256"]


def test_floats_and_other_shapes_are_not_fed_to_an_int8_model() -> None:
    data = (bundled_run().exports_folder / "model_int8.tflite").read_bytes()
    session = TFLiteSession(SessionSettings(data=data, name="m", runtime=Runtime.LITERT))
    floats: Any = np.zeros((224, 224, 3), np.float32)
    with pytest.raises(EdgeMelanomaError) as caught:
        session.score(floats)
    assert str(caught.value) == "A picture is RGB bytes, uint8 from 0 to 255; got float32."
    wanted = "The model's input takes int8 values of shape (224, 224, 3); got"
    for values in (floats, np.zeros((10, 10, 3), np.int8)):
        with pytest.raises(EdgeMelanomaError) as caught:
            session.score_values(values)
        assert str(caught.value) == f"{wanted} {values.dtype} of shape {values.shape}."


def test_in_a_checkout_only_what_is_generated_is_written(
    tmp_path: Path, android_bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = tmp_path / "android_assets"
    shutil.copytree(android_bundle_folder, checkout)
    monkeypatch.setattr(bundle, "SOURCES", checkout)
    files = {
        path.relative_to(checkout).as_posix(): path.read_bytes()
        for path in checkout.rglob("*")
        if path.is_file() and path.name != "SHA256SUMS"
    }
    (checkout / ASSETS / "melanoma_float16.tflite").write_bytes(b"of an earlier time")
    (checkout / "LICENSE").chmod(0o400)
    before = (checkout / "LICENSE").stat().st_ino, (checkout / "NOTICE").stat().st_ino
    write_bundle(files, checkout)
    assert (checkout / "LICENSE").stat().st_ino == before[0]
    assert (checkout / "NOTICE").stat().st_ino != before[1]
    assert not (checkout / ASSETS / "melanoma_float16.tflite").exists()
    assert (checkout / "SHA256SUMS").read_bytes() == (
        android_bundle_folder / "SHA256SUMS"
    ).read_bytes()


def test_what_tools_leave_behind_is_not_hand_written(tmp_path: Path) -> None:
    for name in ("README.md", "web/app.js", "web/node_modules/x.js", "sample/build/y", ".hidden/z"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "SHA256SUMS").touch()
    assert list(bundle.hand_written_files(tmp_path)) == ["README.md", "web/app.js"]


def test_a_folder_with_something_in_it_is_not_written_into_unasked(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(EdgeMelanomaError) as caught:
        bundle.refuse_full_folder(tmp_path, what="bundle", force=False)
    assert str(caught.value) == (
        f"{tmp_path} exists and is not empty; choose another --out, or replace the files of the "
        f"bundle with --force."
    )


def test_a_run_without_such_an_export_is_refused(small_run: TrainedModel) -> None:
    folder = small_run.folder
    assert refusal_of(small_run, Mode.INT8) == (
        f"{folder} has no int8 export; make one with: edge-melanoma export {folder} "
        f"--quantize int8."
    )
    shutil.rmtree(small_run.exports_folder)
    assert refusal_of(small_run) == (
        f"{folder} has no int8 or int8-qat export; make one with: edge-melanoma export {folder} "
        f"--quantize int8-qat."
    )


def test_a_file_without_an_operating_point_of_its_own_is_refused(small_run: TrainedModel) -> None:
    change_manifest(small_run, operating_point=None)
    assert refusal_of(small_run) == (
        f"{small_run.exports_folder / 'model_int8.tflite'} has no operating point of its own, "
        f"which is chosen on the run's validation pictures; export it again where they are, with "
        f"--force."
    )


def test_figures_of_another_file_are_refused(small_run: TrainedModel) -> None:
    model: ConvertedModel = choose_int8_export(small_run, None)
    assert len(describe_operating_point(small_run, model)["measured"]) > 1
    path = small_run.exports_folder / "model_int8.tflite"
    with pytest.raises(EdgeMelanomaError) as caught:
        describe_operating_point(small_run, replace(model, sha256="0" * 64))
    assert str(caught.value) == (
        f"The evaluation beside {path} is of another file or threshold; make it again with "
        f"edge-melanoma evaluate --json, or remove it."
    )
    path.with_suffix(".evaluation.json").unlink()
    assert len(describe_operating_point(small_run, model)["measured"]) == 1


def test_a_bundle_that_is_too_large_names_its_largest_files(
    small_run: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "LARGEST_BUNDLE_BYTES", 1_000_000)
    told = refusal_of(small_run)
    assert told.startswith("The bundle would have ")
    assert "expected at most 1,000,000. Its largest files: app/src/main/assets/melanoma_" in told
