"""Checking a bundle: the first stage that differs is named, whoever changed what."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageOps
from tflite_files import without_metadata

from edge_melanoma.converters.metadata import attach_metadata
from edge_melanoma.converters.phone import golden_vectors
from edge_melanoma.converters.phone.bundle import hand_written_files, sums_of
from edge_melanoma.converters.phone.check import check_bundle
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import json_text, sha256_of
from edge_melanoma.runs.bundled import bundled_model
from edge_melanoma.runtime.interpreters import SessionSettings, TFLiteSession

MODELS, GOLDEN = "app/src/main/assets", "app/src/androidTest/assets/golden"
INT8 = f"{MODELS}/melanoma_int8.tflite"
TEXT = {"description": "b", "version": "1"}


class SessionsHere:
    """A pool without processes."""

    def __init__(self, models: Mapping[str, SessionSettings], *, workers: int) -> None:
        self._models = models

    def __enter__(self) -> "SessionsHere":
        return self

    def __exit__(self, *raised: object) -> None:
        pass

    def map(self, function: Callable[..., Any], items: list[Any], *, model: str) -> Iterator[Any]:
        """Nothing of this is limited."""
        session = TFLiteSession(self._models[model])
        return (function(session, item) for item in items)


@pytest.fixture
def bundle(android_bundle_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy to be changed, whose whole models are run here: a process for each takes seconds."""
    monkeypatch.setattr(golden_vectors, "SessionPool", SessionsHere)
    folder = tmp_path / "bundle"
    shutil.copytree(android_bundle_folder, folder)
    return folder


def with_new_sums(bundle: Path) -> Path:
    """As one would make SHA256SUMS anew after a change: later stages have to find it."""
    files = {
        path.relative_to(bundle).as_posix(): path.read_bytes()
        for path in bundle.rglob("*")
        if path.is_file() and path.name != "SHA256SUMS"
    }
    (bundle / "SHA256SUMS").write_text(sums_of(files))
    return bundle


def change_json(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json_text(content))


def replace_int8(bundle: Path, data: bytes) -> None:
    """Another int8 model, and model_info.json with its hash."""
    (bundle / INT8).write_bytes(data)

    def describe(info: dict[str, Any]) -> None:
        info["models"][0] |= {"sha256": sha256_of(data), "size_bytes": len(data)}

    change_json(bundle / MODELS / "model_info.json", describe)


def stages_of(bundle: Path) -> list[tuple[str, str]]:
    return [
        (Path(found["file"]).name, found["stage"]) for found in check_bundle(bundle)["findings"]
    ]


def test_a_bundle_as_it_was_written_has_no_findings(bundle: Path) -> None:
    checked = check_bundle(bundle)
    assert checked["findings"] == []
    assert (checked["models"], checked["pictures"]) == (2, 16)
    assert checked["files"] == len(list(hand_written_files(bundle))) + 6
    assert checked["ok"] is True


def test_a_changed_and_a_missing_file_are_named(bundle: Path) -> None:
    (bundle / "LICENSE").write_text("mine")
    (bundle / "DISCLAIMER.md").unlink()
    found = {finding["file"]: finding for finding in check_bundle(bundle)["findings"]}
    assert found.keys() == {"LICENSE", "DISCLAIMER.md"}
    assert found["DISCLAIMER.md"] == {
        "file": "DISCLAIMER.md",
        "stage": "SHA256SUMS",
        "expected": "the file",
        "found": "none",
    }
    assert found["LICENSE"]["found"] == sha256_of(b"mine")


def test_one_changed_bit_of_a_model_is_found_and_the_model_not_run(bundle: Path) -> None:
    data = bytearray((bundle / INT8).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / INT8).write_bytes(data)
    assert stages_of(bundle) == [("melanoma_int8.tflite", "SHA256SUMS")]
    assert stages_of(with_new_sums(bundle)) == [("melanoma_int8.tflite", "model hash")]


def test_a_model_without_metadata_is_found(bundle: Path) -> None:
    replace_int8(bundle, without_metadata(bundled_model().read_bytes()))
    (finding,) = check_bundle(with_new_sums(bundle))["findings"]
    assert finding == dict(
        file=INT8,
        stage="metadata",
        expected="a model with it",
        found=(
            "The model has no metadata; expected the standard TFLite metadata that edge-melanoma "
            "writes."
        ),
    )


def test_another_model_info_than_the_attached_one_is_found(bundle: Path) -> None:
    def lower(info: dict[str, Any]) -> None:
        info["models"][0]["threshold"]["integer"] -= 1

    change_json(bundle / MODELS / "model_info.json", lower)
    assert stages_of(with_new_sums(bundle)) == [
        ("melanoma_int8.tflite", "metadata"),
        ("melanoma_uint8.tflite", "metadata"),
    ]


def test_other_tensors_than_those_described_are_found(bundle: Path) -> None:
    """Floats said to be fed to an int8 input, consistently in every place."""

    def tell_float(info: dict[str, Any]) -> None:
        info["models"][0]["input"]["dtype"] = "float32"

    path = bundle / MODELS / "model_info.json"
    change_json(path, tell_float)
    told = json.loads(path.read_text())
    for model in told["models"]:
        del model["sha256"], model["size_bytes"]
    files = {
        "labels.txt": (bundle / MODELS / "labels.txt").read_bytes(),
        "model_info.json": json_text(told).encode(),
    }
    replace_int8(bundle, attach_metadata(bundled_model().read_bytes(), **TEXT, files=files))
    found = check_bundle(with_new_sums(bundle))["findings"][0]
    assert (found["file"], found["stage"]) == (INT8, "input tensor")
    assert "'dtype': 'float32'" in found["expected"]
    assert "'dtype': 'int8'" in found["found"]


@pytest.mark.parametrize(
    ("key", "wrong", "stage"),
    [
        ("width", 7, "decoded"),
        ("decoded_sha256", "0" * 64, "decoded"),
        ("resized_sha256", "0" * 64, "resized"),
        ("int8_output", 5, "int8_output"),
        ("uint8_output", 5, "uint8_output"),
        ("p_malignant", 0.123, "p_malignant"),
    ],
)
def test_the_first_stage_that_differs_is_named_for_each_picture(
    bundle: Path, key: str, wrong: object, stage: str
) -> None:
    def falsify(golden: dict[str, Any]) -> None:
        golden["vectors"][4][key] = wrong

    change_json(bundle / GOLDEN / "golden.json", falsify)
    assert stages_of(with_new_sums(bundle)) == [("golden_05.png", stage)]


def test_pictures_that_are_none_or_empty_or_others_differ_when_decoded(bundle: Path) -> None:
    (bundle / GOLDEN / "golden_01.png").write_text("no picture")
    (bundle / GOLDEN / "golden_02.png").write_bytes(b"")
    path = bundle / GOLDEN / "golden_09.jpg"
    with Image.open(path) as image:
        ImageOps.mirror(image).save(path, quality=95)
    findings = check_bundle(with_new_sums(bundle))["findings"]
    assert [(Path(found["file"]).name, found["stage"]) for found in findings] == [
        ("golden_01.png", "decoded"),
        ("golden_02.png", "decoded"),
        ("golden_09.jpg", "decoded"),
    ]
    assert findings[0]["found"].endswith("is not a picture.")
    assert findings[1]["found"].endswith("is empty.")


def test_where_no_picture_is_left_each_is_named(bundle: Path) -> None:
    pictures = [path for path in (bundle / GOLDEN).iterdir() if path.suffix in {".png", ".jpg"}]
    for path in pictures:
        path.write_bytes(b"")
    stages = stages_of(with_new_sums(bundle))
    assert stages == [(path.name, "decoded") for path in sorted(pictures)]


@pytest.mark.parametrize("name", ["SHA256SUMS", f"{MODELS}/model_info.json"])
def test_a_folder_that_is_no_bundle_is_refused(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    with pytest.raises(EdgeMelanomaError) as caught:
        check_bundle(bundle)
    assert str(caught.value) == (
        f"{bundle} is no Android bundle: it has no {name}; write one with edge-melanoma android."
    )


@pytest.mark.parametrize("line", ["no hash", f"{'0' * 64}  ../out", f"{'0' * 64}  /etc/passwd"])
def test_sums_that_leave_the_bundle_are_refused(bundle: Path, line: str) -> None:
    with (bundle / "SHA256SUMS").open("a") as stream:
        stream.write(f"{line}\n")
    with pytest.raises(EdgeMelanomaError) as caught:
        check_bundle(bundle)
    assert str(caught.value) == (
        f"SHA256SUMS has the line {line!r}; expected a sha256, two spaces and a path within the "
        f"bundle."
    )
