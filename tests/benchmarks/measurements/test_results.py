"""The README's tables from the files that the commands leave, here written by hand."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from results import (
    draw_pareto,
    pareto_front,
    read_candidates,
    render_results,
)

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import write_json
from edge_melanoma.machine.schemas import read_json

SHA = "0123456789abcdef" * 4


def at(threshold: float, **metrics: float) -> dict[str, Any]:
    return {"threshold": threshold, "metrics": metrics, "intervals": {"recall": [0.5, 0.75]}}


def side(images: int, **metrics: float) -> dict[str, Any]:
    """At the operating point the recall is .001 higher."""
    other = metrics | {"recall": metrics["recall"] + 0.001}
    return {
        "images": images,
        "at_half": at(0.5, **metrics),
        "at_operating_point": at(0.31, **other),
    }


def model(mode: str, *, recall: float, size_bytes: int, cpu_p50: float) -> dict[str, Any]:
    return {
        "mode": mode,
        "size_bytes": size_bytes,
        "sha256": SHA,
        "metrics": {"recall": recall, "specificity": 0.9, "accuracy": 0.925, "auc": 0.97},
        "intervals": {"recall": [0.9004, 0.9786]},
        "latency_ms": {"cpu_p50": cpu_p50, "runs": 100, "warmup": 10},
    }


def write_run(folder: Path) -> Path:
    """What train, export and bench leave of a run, as far as the tables need it."""
    dataset = {"name": "small set", "images": 400, "malignant": 210}
    test = {"recall": 0.95, "specificity": 0.9, "precision": 0.91, "f1": 0.93}
    train = {"recall": 0.99, "specificity": 0.98, "precision": 0.98, "f1": 0.985}
    sides = {
        "test": side(60, **test, accuracy=0.925, auc=0.97),
        "train": side(280, **train, accuracy=0.985, auc=1.0),
    }
    write_json(
        folder / "evaluation.json",
        {"dataset": dataset | {"card": None}, "sides": sides},
    )
    write_json(
        folder / "manifest.json",
        {
            "environment": {"packages": {"tensorflow": "2.21.0"}},
            "split": {"kind": "pooled", "seed": 0},
            "training": {"seconds": 61.7},
        },
    )
    candidate = model("int8", recall=0.94, size_bytes=2_504_000, cpu_p50=4.256) | {
        "drop": {"recall": 0.01, "accuracy": -0.002},
        "tests": {"recall_drop_upper95": 0.04321},
        "agreement": 0.98765,
        "mean_score_difference": 0.01234,
        "flips": {"lost_malignant": 2, "gained_malignant": 1},
    }
    write_json(
        folder / "bench" / "parity.json",
        {
            "dataset": {"images": 60, "malignant": 31},
            "machine": {"cpu": "a processor", "cores": 2, "load": 0.44},
            "reference": model("keras", recall=0.95, size_bytes=9_640_000, cpu_p50=20.0),
            "candidates": [candidate],
        },
    )
    return folder


def test_the_tables_hold_every_figure_of_the_files(tmp_path: Path) -> None:
    assert render_results([write_run(tmp_path / "frozen")]) == [
        "Trained on small set (400 images, 210 malignant; pooled split, seed 0), "
        "TensorFlow 2.21.0, a processor, 2 cores. The threshold that is not 0.5 is the operating "
        "point, chosen on validation for a recall of 0.95:",
        "",
        "| variant | side | threshold | recall | specificity | precision | F1 | accuracy | AUC "
        "| train time |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        "| frozen | test | 0.500 | 0.9500 | 0.9000 | 0.9100 | 0.9300 | 0.9250 | 0.9700 | 62 s |",
        "| frozen | test | 0.310 | 0.9510 | 0.9000 | 0.9100 | 0.9300 | 0.9250 | 0.9700 | 62 s |",
        "| frozen | train | 0.500 | 0.9900 | 0.9800 | 0.9800 | 0.9850 | 0.9850 | 1.0000 | 62 s |",
        "| frozen | train | 0.310 | 0.9910 | 0.9800 | 0.9800 | 0.9850 | 0.9850 | 1.0000 | 62 s |",
        "| frozen | original, 13,879 images | 0.5 | 0.89 |  |  | 0.8757 | 0.8805 |  |  |",
        "",
        "- small set: no data set card (dataset.toml): source, licence and label definition "
        "unknown",
        "",
        "The same 60 test images (31 malignant) through Keras and every exported file, at each "
        "variant's operating point (validation recall 0.95), one thread, 100 timed runs after 10, "
        "load 0.4:",
        "",
        "| variant | model | recall (95 % interval) | drop | upper 95 % | specificity | accuracy "
        "| drop | AUC | agreement | mean difference | lost/gained | MB | CPU p50 ms | front "
        "| sha256 |",
        "|" + 16 * " --- |",
        "| frozen | keras | 0.9500 (0.900 .. 0.979) |  |  | 0.9000 | 0.9250 |  | 0.9700 |  |  |  "
        "| 9.64 | 20.00 |  | `0123456789ab` |",
        "| frozen | int8 | 0.9400 (0.900 .. 0.979) | +0.0100 | 0.0432 | 0.9000 | 0.9250 | -0.0020 "
        "| 0.9700 | 98.77% | 0.0123 | 2/1 | 2.50 | 4.26 | yes | `0123456789ab` |",
        "",
        "Drop = reference - candidate; upper 95 % is the one-sided bound of the recall drop; "
        "lost/gained counts malignant images; mean difference is that of scores; front: no other "
        "file is as good in recall, AUC, size and CPU time at once. Made by `python "
        "benchmarks/measurements/results.py --data DIR --weights FILE --variant frozen`.",
    ]


def test_variants_stand_in_the_order_of_their_folders(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / name) for name in ("partial", "frozen")]
    lines = [line for line in render_results(folders) if line.startswith(("| partial", "| frozen"))]
    assert [line.split(" | ")[0] for line in lines] == [
        *["| partial"] * 5,
        *["| frozen"] * 5,
        *["| partial"] * 2,
        *["| frozen"] * 2,
    ]


def test_a_run_that_was_not_benched_is_named(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "frozen")
    report = folder / "bench" / "parity.json"
    report.unlink()
    with pytest.raises(EdgeMelanomaError) as caught:
        render_results([folder])
    assert str(caught.value) == (f"{report} cannot be read: No such file or directory.")


def add_outside(folder: Path, *, recall: float | None) -> None:
    """What --external adds to the files of a run."""
    metrics = {"recall": recall, "specificity": 0.4, "accuracy": 0.45, "auc": 0.8}
    measured = {"threshold": 0.5, "metrics": metrics, "intervals": {}}
    if recall is not None:
        measured["intervals"] = {"recall": [0.5, 0.75]}
    malignant = 0 if recall is None else 4
    dataset = {"name": "clinic", "images": 9, "benign": 9 - malignant, "malignant": malignant}
    block = {"dataset": dataset | {"card": None}, "left_out": 2, "compared_by": "bytes"}
    path = folder / "evaluation.json"
    scored = block | {"at_half": measured, "at_operating_point": measured}
    write_json(path, read_json(path) | {"external": {"clinic": scored}})
    path = folder / "bench" / "parity.json"
    compared = block | {"reference": {"mode": "keras", "metrics": metrics}, "candidates": []}
    write_json(path, read_json(path) | {"external": [compared]})


def test_the_outside_columns_stand_beside_the_inside_ones(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "frozen")
    add_outside(folder, recall=0.625)
    lines = render_results([folder])
    assert lines[0].endswith("the columns of clinic are measured outside:")
    assert lines[2].endswith(
        "| AUC | recall (95 % interval), clinic | specificity, clinic | AUC, clinic | train time |"
    )
    assert lines[4].endswith("| 0.9700 | 0.6250 (0.500 .. 0.750) | 0.4000 | 0.8000 | 62 s |")
    assert lines[6].endswith("| 1.0000 |  |  |  | 62 s |")
    assert (
        "- Outside, clinic: 9 images, 4 malignant; 2 left out as copies of images that were "
        "learned from, compared by bytes"
    ) in lines
    assert lines[-5:] == [
        "Outside, clinic: 9 images, 4 malignant, 2 left out as copies. At each variant's operating "
        "point:",
        "",
        "| variant | model | recall | drop | specificity | drop | accuracy | AUC | agreement "
        "| lost/gained | recall at own threshold | specificity at own threshold |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        "| frozen | keras | 0.6250 |  | 0.4000 |  | 0.4500 | 0.8000 |  |  |  |  |",
    ]


def test_what_is_undefined_outside_is_a_word_and_a_missing_set_is_blank(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / name) for name in ("frozen", "partial")]
    add_outside(folders[0], recall=None)
    lines = render_results(folders)
    assert lines[4].endswith("| 0.9700 | - | 0.4000 | 0.8000 | 62 s |")
    assert lines[9].startswith("| partial | test | 0.500 ")
    assert lines[9].endswith("| 0.9700 |  |  |  | 62 s |")


def test_a_test_side_that_leaks_has_rows_with_and_without(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "frozen")
    path = folder / "evaluation.json"
    evaluation = read_json(path)
    rest = side(58, recall=0.94, specificity=0.9, precision=0.9, f1=0.9, accuracy=0.9, auc=0.96)
    evaluation["sides"]["test_without_leaked"] = rest
    write_json(path, evaluation)
    lines = render_results([folder])
    assert lines[6].startswith("| frozen | test without leaked copies | 0.500 | 0.9400 |")
    assert (
        "- Leaked copies: 2 of 60 test images have copies in the given training part, which were "
        "left out of training."
    ) in lines


def candidate(
    *,
    variant: str = "partial",
    mode: str = "int8",
    recall: float = 0.95,
    auc: float = 0.97,
    size_bytes: int = 2_600_000,
    cpu_p50: float = 2.0,
) -> dict[str, Any]:
    return {
        "variant": variant,
        "mode": mode,
        "metrics": {"recall": recall, "auc": auc},
        "intervals": {"recall": [0.93, 0.97]},
        "size_bytes": size_bytes,
        "latency_ms": {"cpu_p50": cpu_p50},
    }


BASE = candidate()
SLOWER = candidate(mode="float32", recall=0.96, cpu_p50=4.0)


@pytest.mark.parametrize(
    "better",
    [{"recall": 0.96}, {"auc": 0.98}, {"size_bytes": 2_500_000}, {"cpu_p50": 1.9}],
    ids=str,
)
def test_one_advantage_is_enough_where_nothing_is_worse(better: dict[str, Any]) -> None:
    other = candidate(mode="other", **better)
    assert pareto_front([BASE, other]) == pareto_front([other, BASE]) == [other]


def test_an_advantage_that_costs_elsewhere_leaves_both_on_the_front() -> None:
    assert pareto_front([BASE, SLOWER]) == [SLOWER, BASE]


def test_equals_stay_both() -> None:
    twin = candidate(variant="frozen")
    assert pareto_front([BASE, twin]) == [BASE, twin]


def test_candidates_are_those_of_the_report_whose_time_is_known() -> None:
    report = {"candidates": [BASE, {**BASE, "mode": "int16x8", "latency_ms": None}]}
    assert read_candidates("partial", report) == [BASE]


def test_the_picture_is_written(tmp_path: Path) -> None:
    path = draw_pareto([BASE, SLOWER], tmp_path / "pareto.png", title="a $5 set")
    with Image.open(path) as picture:
        assert picture.width > 1000
        assert len(picture.convert("RGB").getcolors(maxcolors=1 << 24) or []) > 10
