"""The command card: what it writes is of the run, says on what it was measured, and is safe."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import CommandResult
from PIL import Image

from edge_melanoma.data.phantoms import write_phantoms
from edge_melanoma.runs.models import TrainedModel, open_run

Run = Callable[..., CommandResult]


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty pictures from elsewhere whose table states sex and age."""
    folder = tmp_path_factory.mktemp("outside") / "clinic"
    write_phantoms(folder, count=20, seed=9, size=None)
    paths = sorted(path.relative_to(folder) for path in folder.glob("*/*.*"))
    lines = [
        f"{path.as_posix()},{path.parts[-2]},{'female' if number % 2 else 'male'},{20 + 3 * number}"
        for number, path in enumerate(paths)
    ]
    (folder / "labels.csv").write_text("\n".join(["file,label,sex,age", *lines]) + "\n")
    return folder


@pytest.fixture
def run(trained_run: TrainedModel, tmp_path: Path) -> TrainedModel:
    """A copy, because a card adds to its run."""
    return open_run(shutil.copytree(trained_run.folder, tmp_path / "run"))


def groups_of(run: TrainedModel) -> dict[str, dict[str, Any]]:
    content = json.loads((run.folder / "subgroups.json").read_text())
    return {
        one["name"]: {f"{g['attribute']}: {g['group']}": g for g in one["groups"]}
        for one in content["sets"]
    }


def test_a_card_has_subgroups_sheets_and_every_claim_item(
    edge_melanoma: Run, run: TrainedModel, outside: Path
) -> None:
    result = edge_melanoma("card", run.folder, "--external", f"clinic={outside}", "--cases", "3")
    assert result.exit_code == 0, result.stderr
    card = (run.folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert f"Wrote   {run.folder / 'MODEL_CARD.md'}\n" in result.stdout
    _check_headings(card)
    _check_links(card, run.folder)
    _check_subgroups(run)
    assert "Not a medical device" in card
    assert "research only" in card
    assert run.sha256 in card
    for place in (run.folder, outside, Path.home()):
        assert str(place) not in card
        assert str(place) not in (run.folder / "subgroups.json").read_text()


def _check_headings(card: str) -> None:
    headings = re.findall(r"^## (.*)\n\n(.*)$", card, flags=re.MULTILINE)
    assert len(headings) == 17
    for title, items in headings[:-1]:
        assert items.startswith("*CLAIM 2024 item"), title
    assert len(re.findall(r"^\| \d+ \| ", card, flags=re.MULTILINE)) == 44


def _check_links(card: str, folder: Path) -> None:
    links = re.findall(r"!\[.*?\]\((.*?)\)", card)
    assert links
    for link in links:
        with Image.open(folder / link) as sheet:
            assert sheet.format == "PNG"
            assert not sheet.getexif()


def _check_subgroups(run: TrainedModel) -> None:
    own, clinic = groups_of(run).values()
    assert not any(name.startswith(("age", "sex")) for name in own)
    assert clinic["sex: male"]["malignant"] + clinic["sex: female"]["malignant"] == 10
    assert {"age: under 30", "age: 30 to 49", "age: 50 to 69", "age: 70 and over"} <= set(clinic)
    shares = [g[k] for g in clinic.values() for k in ("recall", "specificity", "auc")]
    assert all(share is None or 0 <= share <= 1 for share in shares)
    assert all(
        (group["recall"] is None) == (group["malignant"] == 0) == ("recall" in group["undefined"])
        for group in clinic.values()
    )


def test_a_card_is_not_overwritten_unasked(edge_melanoma: Run, run: TrainedModel) -> None:
    card = run.folder / "MODEL_CARD.md"
    card.write_text("mine")
    result = edge_melanoma("card", run.folder, "--cases", "0")
    assert (result.exit_code, card.read_text()) == (2, "mine")
    assert result.stderr == (
        f"edge-melanoma: {card} exists; replace it with --force, or move it away first.\n"
    )


@pytest.mark.thorough
def test_a_card_elsewhere_links_to_the_run_and_without_cases_nothing_is_drawn(
    edge_melanoma: Run, run: TrainedModel, tmp_path: Path
) -> None:
    out = tmp_path / "cards" / "card.md"
    assert edge_melanoma("card", run.folder, "--out", out, "--cases", "0").exit_code == 0
    assert not (run.folder / "failures").exists()
    assert "no sheet was drawn" in out.read_text() or "No misses" in out.read_text()
    assert edge_melanoma("card", run.folder, "--out", out, "--cases", "1", "--force").exit_code == 0
    for link in re.findall(r"!\[.*?\]\((.*?)\)", out.read_text()):
        assert (out.parent / link).is_file()


def test_a_run_that_is_none_is_one_sentence(edge_melanoma: Run, tmp_path: Path) -> None:
    result = edge_melanoma("card", tmp_path / "nothing")
    assert result.exit_code == 2
    assert result.stderr == (
        f"edge-melanoma: There is no run folder {tmp_path / 'nothing'}; train one with: "
        f"edge-melanoma train --data DIR.\n"
    )


@pytest.mark.thorough
def test_an_external_set_that_changed_since_it_was_scored_is_refused(
    edge_melanoma: Run, run: TrainedModel, outside: Path, tmp_path: Path
) -> None:
    clinic = Path(shutil.copytree(outside, tmp_path / "clinic"))
    arguments = ("card", run.folder, "--cases", "0")
    assert edge_melanoma(*arguments, "--external", f"clinic={clinic}").exit_code == 0
    Image.new("RGB", (224, 224), "red").save(next(clinic.rglob("*.png")))
    result = edge_melanoma(*arguments, "--force")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == (
        "edge-melanoma: The images or labels of the external set clinic have changed since they "
        "were scored; restore them, or score the set anew with --external clinic=DIR."
    )
