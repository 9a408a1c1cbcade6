"""A run folder, an export or a bundle from somebody else is data.

Every field of every kind of file is given every odd value in turn, and what reads the file then
takes it or refuses it in one sentence.
"""

import copy
import json
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made import predictions_of
from parity_reports import report_of

from edge_melanoma.api import results
from edge_melanoma.benchmarks.parity.comparison import own_point_of
from edge_melanoma.benchmarks.report.page import render_stored, write_bench
from edge_melanoma.benchmarks.settings import BenchCopies
from edge_melanoma.converters.model_info import describe_operating_point
from edge_melanoma.converters.phone import check
from edge_melanoma.data.splits import SIDES
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.judged_pictures import learned_by_run
from edge_melanoma.evaluation.subject import open_model
from edge_melanoma.evaluation.tables import print_training_table
from edge_melanoma.machine import schemas
from edge_melanoma.runs import bundled, converted, models
from edge_melanoma.runs.pictures import read_run_records, read_side
from edge_melanoma.runs.recorded_files import describe_finding, verify_run
from edge_melanoma.runs.results import read_evaluation
from edge_melanoma.tflite.inspection import inspect_model
from edge_melanoma.tflite.quantization import score_tensor_of

Run = Callable[..., Any]
Keys = tuple[str | int, ...]

GONE = object()
NESTED: Any = []
for _ in range(60):
    NESTED = [NESTED]
ODD: tuple[Any, ...] = (
    *(GONE, None, True, -1, 7, 2**70, 1e308, 0.3, "", "int8", "x" * 300, "../../../labels"),
    *(
        "/etc/passwd",
        "[red]a\x1b[0m",
        [],
        {},
        [1],
        {"a": 1},
        {"../x": {"sha256": "0" * 64}},
        {"x" * 300: {"sha256": "0" * 64}},
        {"x" * 300: "set"},
        {"黒" * 150: "set"},
        "a\0b",
        "黒" * 150,
        NESTED,
    ),
)
READ_ALIKE = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def places(content: Any, at: Keys = ()) -> Iterator[Keys]:
    """Every object, list and value, of long lists and tables the first two entries."""
    if at:
        yield at
    entries = content.items() if isinstance(content, dict) else enumerate(content)
    few = 60 if isinstance(content, dict) and len(content) < 60 else 2
    for key, value in list(entries)[:few]:
        yield from places(value, (*at, key)) if isinstance(value, dict | list) else [(*at, key)]


def changed(content: Any, at: Keys, value: Any) -> Any:
    """A copy with another value at a place."""
    whole = copy.deepcopy(content)
    inner = whole
    for key in at[:-1]:
        inner = inner[key]
    if value is GONE:
        del inner[at[-1]]
    else:
        inner[at[-1]] = value
    return whole


def hold(path: Path, read: Callable[[], object], data: st.DataObject) -> None:
    """Change a field of the file at `path`; `read` takes it, or says one sentence."""
    original = path.read_bytes()
    content = json.loads(original)
    at = data.draw(st.sampled_from(list(places(content))))
    value = data.draw(st.sampled_from(ODD))
    path.write_text(json.dumps(changed(content, at, value)))
    told = ""
    try:
        read()
    except EdgeMelanomaError as error:
        told = str(error)
    finally:
        path.write_bytes(original)
    assert told.isprintable()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the run in the package, with a bench."""
    folder = tmp_path_factory.mktemp("strangers") / "run"
    shutil.copytree(bundled.FOLDER, folder)
    split = json.loads((folder / "split.json").read_text())
    for side in SIDES:
        split[side] = split[side][:3]
    split["sha256"] = {name: split["sha256"][name] for side in SIDES for name in split[side]}
    (folder / "split.json").write_text(json.dumps(split | {"kin": split["kin"][:3]}))
    before = predictions_of(malignant=(0.9, 0.8, 0.4), benign=(0.1, 0.6, 0.2))
    after = predictions_of(malignant=(0.4, 0.8, 0.6), benign=(0.1, 0.6, 0.2))
    parity = report_of(before, after).as_dict()
    scores = {"keras": before, "int8": after}
    write_bench(folder / "bench", parity, scores, thumbnails={}, copies=BenchCopies())
    return folder


@pytest.fixture
def trusted_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its bytes are not what is changed here, and to verify them takes a process."""
    monkeypatch.setattr(converted, "verify_model", lambda data, name: None)
    monkeypatch.setattr(converted, "inspect_model", cache(inspect_model))


def read_run(folder: Path) -> None:
    for finding in verify_run(folder)["findings"]:
        describe_finding(finding)
    trained = models.open_run(folder)
    print_training_table([(trained, read_evaluation(folder))])
    results.Run(folder=folder, variant=trained.variant, threshold=trained.threshold).to_dict()
    learned_by_run(trained)
    assert trained.views in (1, 8)
    assert 32 <= trained.image_size <= 1024
    with pytest.raises(EdgeMelanomaError):
        read_run_records(trained)  # its pictures are not here
    with pytest.raises(EdgeMelanomaError):
        read_side(trained, "test")


def read_export(folder: Path) -> None:
    verify_run(folder)
    path = folder / "exports" / "model_int8.tflite"
    subject = open_model(path)
    assert 0 <= subject.threshold <= 1
    assert isinstance(subject.facts, dict)
    model = converted.open_converted(path)
    own_point_of(model.manifest)
    score_tensor_of(model.manifest)
    (exported,) = converted.open_exports(models.open_run(folder))
    if exported.manifest.get("operating_point") and "threshold" in exported.manifest:
        describe_operating_point(models.open_run(folder), exported)


@READ_ALIKE
@given(data=st.data())
def test_any_field_of_a_run_manifest_may_be_anything(run: Path, data: st.DataObject) -> None:
    hold(run / "manifest.json", lambda: read_run(run), data)


@READ_ALIKE
@given(data=st.data())
def test_any_field_of_an_evaluation_may_be_anything(run: Path, data: st.DataObject) -> None:
    hold(run / "evaluation.json", lambda: read_run(run), data)


@READ_ALIKE
@given(data=st.data())
def test_any_field_of_a_split_may_be_anything(run: Path, data: st.DataObject) -> None:
    hold(run / "split.json", lambda: read_run(run), data)


@READ_ALIKE
@given(data=st.data())
@pytest.mark.usefixtures("trusted_models")
@pytest.mark.parametrize("name", ["model_int8.json", "model_int8.evaluation.json"])
def test_any_field_beside_an_export_may_be_anything(
    run: Path, name: str, data: st.DataObject
) -> None:
    hold(run / "exports" / name, lambda: read_export(run), data)


@pytest.mark.thorough
@settings(READ_ALIKE, max_examples=60)
@given(data=st.data())
@pytest.mark.parametrize("name", ["parity.json", "thumbnails.json"])
def test_any_field_of_a_bench_may_be_anything(run: Path, name: str, data: st.DataObject) -> None:
    hold(run / "bench" / name, lambda: render_stored(run / "bench"), data)


@pytest.fixture(scope="module")
def bundle(android_bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of an Android bundle."""
    return shutil.copytree(android_bundle_folder, tmp_path_factory.mktemp("strangers") / "bundle")


@pytest.mark.thorough
@settings(READ_ALIKE, max_examples=15)
@given(data=st.data())
@pytest.mark.parametrize("name", ["model_info.json", "golden.json"])
def test_any_field_of_a_bundle_may_be_anything(
    bundle: Path, name: str, data: st.DataObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_melanoma.converters.phone.golden_vectors import ModelOutputs

    def not_run(model: bytes, images: list[Any], **_: object) -> ModelOutputs:
        none: tuple[Any, ...] = (0,) * len(images)
        return ModelOutputs(integers=none, scores=none, distances=none, xnnpack_parts=1)

    monkeypatch.setattr(check, "run_model", not_run)
    monkeypatch.setattr(check, "verify_model", lambda data, name: None)
    (path,) = bundle.rglob(name)
    hold(path, lambda: check.check_bundle(bundle), data)


CASES: dict[str, tuple[str, Keys, Any, str]] = {
    "a mode that leads elsewhere": (
        *("exports/model_int8.json", ("mode",), "x/../../../labels"),
        "exports/model_int8.json cannot be used: at mode, invalid enum value 'x/../../../labels'",
    ),
    "an absolute path in files": (
        *("manifest.json", ("files",), {"/etc/passwd": {"sha256": "0" * 64}}),
        "manifest.json cannot be used: at a key of files, expected the place of a file within",
    ),
    "a number for an object": (
        *("manifest.json", ("operating_point",), 3),
        "manifest.json cannot be used: at operating_point, expected object, got int",
    ),
    "a missing field": (
        *("manifest.json", ("variant",), GONE),
        "manifest.json cannot be used: at the top, object missing required field variant",
    ),
    "a variant that is none": (
        *("manifest.json", ("variant",), "x" * 300),
        "manifest.json cannot be used: at variant, invalid enum value",
    ),
    "deep nesting": ("manifest.json", ("own",), NESTED, "more than 40 objects in one another"),
    "a newer schema": ("manifest.json", ("schema",), 99, "was made by a newer version"),
    "another resize": (
        *("exports/model_int8.json", ("resize",), "area-v2"),
        "exports/model_int8.json cannot be used: at resize, invalid enum value 'area-v2'",
    ),
    "another scale": (
        *("exports/model_int8.json", ("output", "scale"), 0.5),
        "has an output with the scale 0.00390625, and its manifest says 0.5; export the file",
    ),
    "a name of 300 characters": (
        *("manifest.json", ("external",), {"x" * 300: "set"}),
        "manifest.json cannot be used: at a key of external, expected a name of at most 150",
    ),
}


@pytest.mark.parametrize("case", CASES, ids=[name.replace(" ", "-") for name in CASES])
def test_a_command_refuses_it_in_one_sentence(
    case: str, tmp_path: Path, edge_melanoma: Run
) -> None:
    file, at, value, sentence = CASES[case]
    folder = tmp_path / "run"
    shutil.copytree(bundled.FOLDER, folder)
    path = folder / file
    path.write_text(json.dumps(changed(json.loads(path.read_text()), at, value)))
    picture = tmp_path / "a.png"
    picture.write_bytes(b"none")
    command = ("predict", folder / "exports" / "model_int8.tflite", picture)
    result = edge_melanoma(*command)
    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_manifest_of_3_gb_is_not_read(tmp_path: Path, edge_melanoma: Run) -> None:
    shutil.copytree(bundled.FOLDER, tmp_path / "run")
    with (tmp_path / "run" / "manifest.json").open("ab") as stream:
        stream.truncate(3 * 2**30)
    result = edge_melanoma("verify", tmp_path / "run")
    assert result.exit_code == 2
    assert f"has more than {schemas.LARGEST_BYTES} bytes" in result.stderr
