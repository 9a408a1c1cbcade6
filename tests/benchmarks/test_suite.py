"""The README's tables from the files that the commands leave, here written by hand."""

from pathlib import Path
from typing import Any

import pytest

from edge_melanoma.artifacts import write_json
from edge_melanoma.benchmarks.suite import render_results
from edge_melanoma.errors import EdgeMelanomaError

SHA = "0123456789abcdef" * 4


def side(**metrics: float) -> dict[str, Any]:
    return {"at_half": {"metrics": metrics}}


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
    test = side(recall=0.95, specificity=0.9, precision=0.91, f1=0.93, accuracy=0.925, auc=0.97)
    train = side(recall=0.99, specificity=0.98, precision=0.98, f1=0.985, accuracy=0.985, auc=1.0)
    write_json(
        folder / "evaluation.json", {"dataset": dataset, "sides": {"test": test, "train": train}}
    )
    write_json(
        folder / "manifest.json",
        {
            "environment": {"packages": {"tensorflow": "2.21.0"}},
            "training": {"seconds": 61.7},
        },
    )
    candidate = model("int8", recall=0.94, size_bytes=2_504_000, cpu_p50=4.256) | {
        "drop": {"recall": 0.01, "accuracy": -0.002},
        "tests": {"recall_drop_upper95": 0.04321},
        "agreement": 0.98765,
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
        "Trained on small set (400 images, 210 malignant; pooled split 70/15/15, seed 0), "
        "TensorFlow 2.21.0, a processor, 2 cores. Threshold 0.5:",
        "",
        "| variant | side | recall | specificity | precision | F1 | accuracy | AUC | train time |",
        "|---|---|---|---|---|---|---|---|---|",
        "| frozen | test | 0.9500 | 0.9000 | 0.9100 | 0.9300 | 0.9250 | 0.9700 | 62 s |",
        "| frozen | train | 0.9900 | 0.9800 | 0.9800 | 0.9850 | 0.9850 | 1.0000 | 62 s |",
        "| frozen | original, 13,879 images | 0.89 |  |  | 0.8757 | 0.8805 |  |  |",
        "",
        "The same 60 test images (31 malignant) through Keras and every exported file, at each "
        "variant's operating point (validation recall 0.95), one thread, 100 timed runs after 10, "
        "load 0.4:",
        "",
        "| variant | model | recall (95 % interval) | drop | upper 95 % | specificity | accuracy "
        "| drop | AUC | agreement | lost/gained | MB | CPU p50 ms | front | sha256 |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
        "| frozen | keras | 0.9500 (0.900 .. 0.979) |  |  | 0.9000 | 0.9250 |  | 0.9700 |  |  "
        "| 9.64 | 20.00 |  | `0123456789ab` |",
        "| frozen | int8 | 0.9400 (0.900 .. 0.979) | +0.0100 | 0.0432 | 0.9000 | 0.9250 | -0.0020 "
        "| 0.9700 | 98.77% | 2/1 | 2.50 | 4.26 | yes | `0123456789ab` |",
        "",
        "Drop = reference - candidate; upper 95 % is the one-sided bound of the recall drop; "
        "lost/gained counts malignant images; front: no other file is as good in recall, AUC, "
        "size and CPU time at once. Made by `make results`.",
    ]


def test_variants_stand_in_the_order_of_their_folders(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / name) for name in ("partial", "frozen")]
    lines = [line for line in render_results(folders) if line.startswith(("| partial", "| frozen"))]
    assert [line.split(" | ")[0] for line in lines] == [
        *["| partial"] * 3,
        *["| frozen"] * 3,
        *["| partial"] * 2,
        *["| frozen"] * 2,
    ]


def test_a_run_that_was_not_benched_is_named(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "frozen")
    report = folder / "bench" / "parity.json"
    report.unlink()
    with pytest.raises(EdgeMelanomaError) as caught:
        render_results([folder])
    assert str(caught.value) == (
        f"{report} is not a readable JSON file: [Errno 2] No such file or directory: '{report}'."
    )
