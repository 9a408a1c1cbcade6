"""A card says what the run says: no number without its set, no path, nothing made up."""

import contextlib
import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from made import predictions_of
from test_strangers_files import GONE, changed, places

from edge_melanoma.card.card import render_card
from edge_melanoma.card.failures import Failure
from edge_melanoma.card.subgroups import measure_subgroups
from edge_melanoma.data.images import RESIZE_ID
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.evaluation import evaluate_at_both
from edge_melanoma.machine.schemas import parse_json
from edge_melanoma.runs.manifests import RunManifest
from edge_melanoma.runs.models import TrainedModel
from edge_melanoma.runs.results import Evaluation

# At 0.5: recall 3 of 4, specificity 4 of 5.
NINE = predictions_of(malignant=(0.9, 0.8, 0.6, 0.2), benign=(0.7, 0.4, 0.3, 0.2, 0.1))
COUNTS = {"images": 9, "malignant": 4, "benign": 5}
CARD = {
    "name": "Nine",
    "source": "A | B",
    "licence": "CC BY-NC 4.0",
    "geometry": "squashed",
    "label_definition": "malignant means *melanoma*",
    "doi": "10.1/9",
    "url": None,
    "note": "drawn by hand",
}
DATASET = {"name": "nine", **COUNTS, "fingerprint": "f" * 64, "card": CARD}
STAGE = {
    "name": "head",
    "unfrozen_backbone_layers": 0,
    "learning_rate": 0.001,
    "epochs": 6,
    "augmentation": None,
    "patience": None,
    "image_size": 224,
    "average_decay": 0.0,
}
MANIFEST: dict[str, Any] = {
    "variant": "frozen",
    "settings": {"weights": "/home/anna/secret/start.h5", "seed": 3, "batch_size": None},
    "recipe": {
        "stages": [STAGE],
        "batch_size": 16,
        "dense_units": 128,
        "dropout": 0.3,
        "last_layer": "out_relu",
    },
    "teacher": None,
    "resize": "triangle",
    "dataset": DATASET | {"folders": {"nine": "/home/anna/nine"}},
    "split": {"kind": "pooled", "seed": 3, "fingerprint": "e" * 64},
    "left_out": {"unreadable": [{"file": "x"}, {"file": "y"}], "also_in_test": []},
    "operating_point": {
        "threshold": 0.5,
        "min_recall": 0.95,
        "recall": 0.96,
        "recall_interval": [0.9, 0.99],
        "specificity": 0.8,
        "malignant": 50,
        "benign": 60,
    },
    "training": {"seconds": 12.3},
    "environment": {
        "edge_melanoma": "1.0",
        "python": "3.11",
        "packages": {"numpy": "2.4", "tflite-runtime": None},
        "cpu": "a processor",
        "command": "edge-melanoma train --data /home/anna/nine",
    },
}


def make_facts(*, external: dict[str, Any] | None = None) -> dict[str, Any]:
    test = COUNTS | evaluate_at_both(NINE, threshold=0.5)
    traits = [{"sex": "female"}] * 5 + [{"sex": "male"}] * 4
    sheet = {"link": "failures/a b.png", "shown": 1, "errors": 1, "images": 4}
    judged = {
        "name": "nine, test side",
        "dataset": DATASET,
        **measure_subgroups(NINE, traits, threshold=0.5),
        "sheets": {Failure.MISS: sheet},
    }
    run = TrainedModel(
        folder=Path("/home/anna/runs/frozen-1"),
        variant="frozen",
        manifest=MANIFEST,
        sha256="a" * 64,
    )
    return {
        "run": run,
        "evaluation": {"dataset": DATASET, "sides": {"test": test}, "external": external or {}},
        "leaked_test": 0,
        "parameters": 1234567,
        "judged": (judged,),
        "exports": {},
        "parity": None,
    }


def outside(**scores: tuple[float, ...]) -> dict[str, Any]:
    predictions = predictions_of(malignant=scores["malignant"], benign=scores["benign"])
    counts = {"malignant": len(scores["malignant"]), "benign": len(scores["benign"])}
    dataset = {"name": "clinic", "images": sum(counts.values()), **counts, "card": None}
    block = {"dataset": dataset, "left_out": 2, "compared_by": "bytes and pixels"}
    return {"clinic": block | evaluate_at_both(predictions, threshold=0.5)}


@pytest.fixture(scope="module")
def card() -> str:
    """Of a run that was measured inside alone."""
    return render_card(make_facts())


@cache
def facts_with_a_clinic() -> dict[str, Any]:
    return make_facts(external=outside(malignant=(0.9, 0.1), benign=(0.9, 0.1)))


def render_of(name: str, content: Any) -> None:
    """A card of what one of the two files of its run holds; the other is as it was."""
    facts = dict(facts_with_a_clinic())
    data = json.dumps(content).encode()
    if name == "manifest.json":
        told = parse_json(data, RunManifest, name=name)
        facts["run"] = replace(facts["run"], manifest=told)
    else:
        facts["evaluation"] = {"external": {}, **parse_json(data, Evaluation, name=name)}
    render_card(facts)


def files_of_a_run() -> dict[str, Any]:
    side = COUNTS | evaluate_at_both(NINE, threshold=0.5)
    clinic = outside(malignant=(0.9, 0.1), benign=(0.9, 0.1))["clinic"] | {"left_out_images": []}
    evaluation = {
        "dataset": DATASET,
        "sides": dict.fromkeys(("train", "validation", "test"), side),
        "external": {"clinic": clinic},
    }
    scaling = {"temperature": 1.2, "offset": 0.1, "side": "validation", "images": 9}
    more = {"files": {}, "resize": RESIZE_ID, "calibration": scaling}
    told = {"manifest.json": MANIFEST | more, "evaluation.json": evaluation}
    return dict(json.loads(json.dumps(told)))


@pytest.mark.parametrize(
    "name", ["manifest.json", pytest.param("evaluation.json", marks=pytest.mark.thorough)]
)
def test_any_field_may_be_missing_or_of_another_kind(name: str) -> None:
    content = files_of_a_run()[name]
    render_of(name, content)
    for at in places(content):
        for value in (GONE, None, "x", []):
            with contextlib.suppress(EdgeMelanomaError):
                render_of(name, changed(content, at, value))


def test_the_figures_stand_beside_the_set_that_they_were_measured_on(card: str) -> None:
    row = next(line for line in card.splitlines() if line.startswith("| nine, test side | 4 |"))
    cells = [cell.strip() for cell in row.split("|")[1:-1]]
    assert cells[2].startswith("0.750 (")  # recall comes first
    assert cells[3:5] == ["5", "0.800 (0.376 to 0.964)"]


def test_no_path_of_the_machine_is_in_a_card(card: str) -> None:
    assert "anna" not in card
    assert r"the file start.h5" in card


def test_text_from_a_data_set_card_is_no_markdown(card: str) -> None:
    assert r"| nine | A \| B (doi:10.1/9) | CC BY-NC 4.0 | squashed |" in card
    assert r"- nine: malignant means \*melanoma\*" in card


def test_what_is_not_known_is_said(card: str) -> None:
    for sentence in (
        "**No outside set was measured.**",
        "No set from elsewhere was measured: nothing is known of how the model generalises.",
        "No file was exported from this run.",
        "No false alarms on nine, test side, among 5 benign pictures.",
        "The scores are as the network learned them: no calibration was fitted.",
        "Pictures that could not be read and were left out: 2.",
        "Not stated in this data set: age, site, diagnosis",
    ):
        assert sentence in card, sentence


def test_a_sheet_is_linked_with_what_it_shows(card: str) -> None:
    assert "nine, test side: the 1 worst of 1 misses, among 4 malignant pictures" in card
    assert "](failures/a%20b.png)" in card


def test_licence_and_hashes_are_there(card: str) -> None:
    assert "nine: CC BY-NC 4.0" in card
    assert "**the weights are for research only**" in card
    for digit in "aef":
        assert f"`{digit * 64}`" in card


def test_an_outside_set_of_one_class_shows_a_dash_and_no_made_up_share() -> None:
    card = render_card(make_facts(external=outside(malignant=(0.9, 0.1), benign=())))
    row = next(line for line in card.splitlines() if line.startswith("| clinic (outside) | 2 | 0."))
    cells = [cell.strip() for cell in row.split("|")[1:-1]]
    assert cells[2].startswith("0.500 (")
    assert cells[3:6] == ["0", "-", "-"]
    assert "| clinic (outside) | not stated (no dataset.toml) |" in card


def test_a_drop_outside_is_a_limit() -> None:
    card = render_card(make_facts(external=outside(malignant=(0.9, 0.1), benign=(0.9, 0.1))))
    assert (
        "- Outside, on clinic, against the test side inside: recall 0.500 against 0.750, "
        "specificity 0.500 against 0.800, AUC 0.500 against 0.775."
    ) in card


def test_files_for_the_phone_have_hash_threshold_and_parity() -> None:
    told = {
        "size_bytes": 2_600_000,
        "sha256": "d" * 64,
        "threshold": 0.25,
        "operating_point": {"integer": -64},
    }
    measured = evaluate_at_both(NINE, threshold=0.5)["at_operating_point"]
    candidate = {
        "mode": "int8",
        "metrics": measured["metrics"],
        "intervals": measured["intervals"],
        "drop": {"recall": 0.25},
        "agreement": 0.875,
        "flips": {"lost_malignant": 1},
        "verdict": "fail",
    }
    parity = {"dataset": DATASET, "candidates": [candidate]}
    facts = make_facts() | {"exports": {"model_int8.tflite": told}, "parity": parity}
    card = render_card(facts)
    assert f"| model_int8.tflite | 2.60 MB | `{'d' * 64}` | 0.250000 | -64 |" in card
    assert "Against the trained network on nine (9 pictures, 4 malignant):" in card
    assert "| int8 | 0.750 (0.301 to 0.954) | +0.2500 |" in card
    assert "| 87.50% | 1 | fail |" in card
