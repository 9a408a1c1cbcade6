"""The options that say how data sets are read, and what cannot be meant by them."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from made import draw_pictures, picture_id, run_trained_on

from edge_melanoma.commands.options import choose_reading
from edge_melanoma.data.labels import AS_FOUND, Group, Reading
from edge_melanoma.data.sets import PUBLIC_SETS
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.runs.pictures import read_run_records

Run = Callable[..., Any]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "a=b.csv"
    path.write_text("file,label\n", encoding="utf-8")
    return path


def test_tables_are_of_sets_by_name_and_classes_are_split_at_commas(table: Path) -> None:
    sets: dict[str, Any] = {"folders": [Path("x/ham"), None], "external": ["uda=DIR"]}
    assert choose_reading(None, None, None, **sets) == AS_FOUND
    words = [str(table), f"ham={table}", f"uda={table}"]
    assert choose_reading(words, " mel, bcc,", Group.LESION, **sets) == Reading(
        tables=((None, table), ("ham", table), ("uda", table)),
        malignant=("mel", "bcc"),
        group=Group.LESION,
    )


@pytest.mark.parametrize("word", ["no.csv", "ham=no.csv", "other={table}", "={table}x"])
def test_a_table_that_is_none_or_of_no_set_is_refused(table: Path, word: str) -> None:
    word = word.format(table=table)
    with pytest.raises(EdgeMelanomaError) as caught:
        choose_reading([word], None, None, folders=[Path("ham")], external=["uda=DIR"])
    assert str(caught.value) == (
        f"--labels {word} is no file, or of no set that is read; expected FILE, or NAME=FILE with "
        "one of the names ham, uda."
    )


def test_a_table_without_name_is_not_that_of_an_external_set(table: Path) -> None:
    with pytest.raises(EdgeMelanomaError, match="NAME=FILE with one of the names uda"):
        choose_reading([str(table)], None, None, folders=[None], external=["uda=DIR"])


@pytest.mark.parametrize(("malignant", "group"), [("mel", None), (None, Group.PATIENT)])
def test_options_of_data_without_data_are_refused(
    malignant: str | None, group: Group | None
) -> None:
    with pytest.raises(EdgeMelanomaError, match="are for sets that are given with --data or"):
        choose_reading(None, malignant, group, folders=[None])


@pytest.fixture
def named(tmp_path: Path) -> Path:
    """Pictures of two classes that a table alone tells."""
    folder = draw_pictures(tmp_path / "set", *range(1, 9))
    lines = [f"{n},{'mel' if n % 2 == 0 else 'nv'},P{n // 2}" for n in range(1, 9)]
    for number in range(1, 9):
        (folder / picture_id(number)).rename(folder / f"{number}.png")
    for name in ("benign", "malignant"):
        (folder / name).rmdir()
    (tmp_path / "labels.txt").write_text("\n".join(["image_id,dx,patient_id", *lines]))
    return folder


def test_data_check_reads_by_options(named: Path, tmp_path: Path, edge_melanoma: Run) -> None:
    arguments = ("--labels", tmp_path / "labels.txt", "--malignant", "melanoma", "--no-cache")
    out = tmp_path / "r.json"
    result = edge_melanoma("data", "check", named, *arguments, "--json", out)
    assert result.exit_code == 0, result.stderr
    (found,) = json.loads(out.read_text())["sets"]
    assert (found["benign"], found["malignant"]) == (4, 4)
    assert "Classes of set: 4 malignant images (mel) and 4 benign images (nv)" in result.stderr


def test_evaluate_reads_data_and_external_sets_by_options(
    named: Path, tmp_path: Path, edge_melanoma: Run
) -> None:
    table, out = tmp_path / "labels.txt", tmp_path / "e.json"
    other = draw_pictures(tmp_path / "other", 11, 12)
    arguments = ("--data", named, "--external", f"x={other}", "--labels", table)
    result = edge_melanoma("evaluate", "bundled", *arguments, "--malignant", "mel", "--json", out)
    assert result.exit_code == 0, result.stderr
    found = json.loads(out.read_text())
    assert (found["dataset"]["benign"], found["dataset"]["malignant"]) == (4, 4)
    assert found["external"]["x"]["dataset"]["malignant"] == 1


def test_a_run_reads_its_pictures_as_it_was_told(named: Path, tmp_path: Path) -> None:
    reading = Reading(tables=((None, tmp_path / "labels.txt"),), malignant=("mel",))
    run = run_trained_on(named, tmp_path / "run", {})
    run.manifest["dataset"]["reading"] = reading.as_dict()
    assert [r.is_malignant for r in read_run_records(run)] == [False, True] * 4


def stand_in(monkeypatch: pytest.MonkeyPatch, download: Callable[..., str]) -> None:
    module = ModuleType("kagglehub")
    module.dataset_download = download  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "kagglehub", module)


def fake_download(handle: str, *, output_dir: str) -> str:
    """An archive with a folder of its own, and as few pictures as `PUBLIC_SETS` is made to have."""
    assert handle == "bhaveshmittal/melanoma-cancer-dataset"
    for side, count in (("train", 3), ("test", 1)):
        for name in ("benign", "malignant"):
            folder = Path(output_dir, "melanoma_cancer_dataset", side, name)
            folder.mkdir(parents=True)
            for number in range(count):
                (folder / f"{number}.jpg").touch()
    return output_dir


def test_a_public_set_is_fetched_once_and_counted(
    tmp_path: Path, edge_melanoma: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = PUBLIC_SETS["kaggle-melanoma"]._replace(images={"train": 6, "test": 2})
    monkeypatch.setitem(PUBLIC_SETS, "kaggle-melanoma", few)
    stand_in(monkeypatch, fake_download)
    result = edge_melanoma("data", "fetch", tmp_path / "new")
    told = f"6 train, 2 test images of 'Melanoma Cancer Image Dataset' in {tmp_path / 'new'}\n"
    assert (result.exit_code, result.stdout) == (0, told)
    stand_in(monkeypatch, pytest.fail)
    assert edge_melanoma("data", "fetch", tmp_path / "new").stdout == told
    next((tmp_path / "new").rglob("*.jpg")).unlink()
    result = edge_melanoma("data", "fetch", tmp_path / "new")
    assert result.exit_code == 2
    assert "; expected 6 train, 2 test of 'Melanoma Cancer Image Dataset': " in result.stderr


def test_without_network_or_client_it_is_said_what_to_put_where(
    tmp_path: Path, edge_melanoma: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(handle: str, *, output_dir: str) -> str:
        raise ConnectionError("no network\nat all")

    stand_in(monkeypatch, refuse)
    results = [edge_melanoma("data", "fetch", tmp_path / "new")]
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    results.append(edge_melanoma("data", "fetch", tmp_path / "new"))
    for result, reason in zip(results, ("ConnectionError", "ModuleNotFoundError"), strict=True):
        assert result.exit_code == 2
        assert result.stderr == (
            f"edge-melanoma: 'Melanoma Cancer Image Dataset' cannot be downloaded ({reason}): it "
            "needs the extra kaggle and a network. Or open https://www.kaggle.com/datasets/"
            "bhaveshmittal/melanoma-cancer-dataset, download archive.zip, unpack it into "
            f"{tmp_path / 'new'} and repeat this command, which then counts the images.\n"
        )
    assert not (tmp_path / "new").exists()


def test_a_public_set_that_is_not_known_is_refused(tmp_path: Path, edge_melanoma: Run) -> None:
    result = edge_melanoma("data", "fetch", tmp_path, "--set", "ham")
    assert result.stderr == "edge-melanoma: --set ham is not known; expected kaggle-melanoma.\n"


@pytest.mark.thorough
def test_train_keeps_a_given_validation_side_and_records_how_it_read(
    tmp_path: Path, edge_melanoma: Run
) -> None:
    data, other = tmp_path / "set", draw_pictures(tmp_path / "drawn", *range(1, 9))
    sides = ("train", "train", "valid", "test")
    for number in range(1, 17):
        name = "melanoma" if number % 2 == 0 else "nevus"
        drawn = draw_pictures(tmp_path / "more", 100 + number) / picture_id(100 + number)
        place = data / sides[number // 2 % 4] / name / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        drawn.rename(place)
    (tmp_path / "x.csv").write_text(
        "\n".join(["image,MEL,NV", *(f"{n},{n % 2 == 0:d},{n % 2:d}" for n in range(1, 9))])
    )
    run = tmp_path / "run"
    result = edge_melanoma(
        *("train", "--variant", "frozen", "--weights", "none", "--epochs", "1", "--no-cache"),
        *("--data", data, "--malignant", "mel", "--external", f"x={other}", "--out", run),
        *("--labels", f"x={tmp_path / 'x.csv'}"),
    )
    assert result.exit_code == 0, result.stderr
    assert "The given sides are kept (8 train, 4 validation, 4 test images)" in result.stderr
    split = json.loads((run / "split.json").read_text())
    assert {name.split("/")[0] for name in split["validation"]} == {"valid"}
    assert {name.split("/")[0] for name in split["test"]} == {"test"}
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["dataset"]["reading"]["malignant"] == ["mel"]
    assert manifest["external_reading"]["x"]["labels"] == [[None, str(tmp_path / "x.csv")]]
    again = edge_melanoma("evaluate", run, "--json", tmp_path / "e.json")
    assert again.exit_code == 0, again.stderr
    card = edge_melanoma("card", run, "--cases", "0")
    assert card.exit_code == 0, card.stderr
