"""The README's smaller tables from files written by hand."""

from pathlib import Path
from typing import Any

from evidence import render_backends, render_study

from edge_melanoma.machine.files import write_json


def subset(images: int, recall: float, auc: float) -> dict[str, Any]:
    nearness = {"mean_score_difference": 0.02, "agreement": 0.975}
    return {"images": images, "recall": recall, "auc": auc, **nearness}


def test_a_study_has_a_line_a_size_with_means_and_extremes() -> None:
    study = {
        "variant": "partial",
        "threshold": 0.2,
        "validation": {"name": "a set", "images": 40, "malignant": 20},
        "reference": {"recall": 0.95, "auc": 0.97},
        "subsets": [subset(50, 0.90, 0.96), subset(50, 0.94, 0.98), subset(100, 0.95, 0.97)],
        "conclusion": "It moves.",
    }
    assert render_study(study)[2:] == [
        "| float | 0.9500 | 0.9700 |  |  |",
        "| 50 | 0.9200 (0.9000 .. 0.9400) | 0.9700 (0.9600 .. 0.9800) | 0.0200 | 97.5% |",
        "| 100 | 0.9500 (0.9500 .. 0.9500) | 0.9700 (0.9700 .. 0.9700) | 0.0200 | 97.5% |",
        "",
        "a set: 40 images, 20 malignant; `partial` at threshold 0.200. It moves.",
    ]


def test_both_quantisers_of_a_variant_stand_below_each_other(tmp_path: Path) -> None:
    for name, recall in (("partial", 0.95), ("partial-litert", 0.94)):
        model = {
            "mode": "int8",
            "metrics": {"recall": recall, "auc": 0.97},
            "drop": {"accuracy": 0.01},
            "flips": {"lost_malignant": 3, "gained_malignant": 1},
            "agreement": 0.98,
            "size_bytes": 2_600_000,
            "latency_ms": {"cpu_p50": 1.5},
            "sha256": "0123456789abcdef",
        }
        other = {"mode": "float32"}
        write_json(tmp_path / name / "bench" / "parity.json", {"candidates": [other, model]})
    assert render_backends(tmp_path)[2:] == [
        "| partial | converter | 0.9500 | 3/1 | +0.0100 | 0.9700 | 98.00% | 2.60 | 1.50 "
        "| `0123456789ab` |",
        "| partial | litert | 0.9400 | 3/1 | +0.0100 | 0.9700 | 98.00% | 2.60 | 1.50 "
        "| `0123456789ab` |",
    ]
