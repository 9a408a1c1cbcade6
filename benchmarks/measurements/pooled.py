"""Several runs' drops as one: what one test side is too small to prove.

    python benchmarks/measurements/pooled.py RUN RUN ...

Reads the predictions that `bench` left in each run and counts the flips of every mode over all of
them, each run at its own threshold. Runs of other split seeds share pictures, so that the pooled
bound is somewhat too narrow; the number of different malignant pictures is told.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from edge_melanoma.benchmarks.parity.comparison import find_flips
from edge_melanoma.benchmarks.parity.paired_tests import exact_mcnemar, score_upper_bound
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.predictions import PredictionSet, read_predictions
from edge_melanoma.machine.markdown import table_of
from edge_melanoma.runs.models import open_run

COLUMNS = (
    "mode",
    "runs",
    "malignant (different)",
    "lost/gained",
    "recall drop",
    "upper 95 %",
    "false alarms new/cleared",
    "McNemar p, all",
    "McNemar p, malignant",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PooledDrop:
    """One mode over all runs; a picture counts once for each run that it was tested in."""

    mode: str
    runs: int
    malignant: int
    different_malignant: int
    lost_malignant: int
    gained_malignant: int
    new_false_alarm: int
    cleared_false_alarm: int
    recall_drop: float
    recall_drop_upper95: float
    mcnemar_p: float
    mcnemar_p_malignant: float


def pool_drops(folders: Sequence[Path]) -> list[PooledDrop]:
    """The modes that were benched in every run.

    Raises:
        EdgeMelanomaError: a run was not benched.
    """
    modes = [
        {path.stem.removeprefix("predictions_") for path in _bench(folder).glob("predictions_*")}
        for folder in folders
    ]
    return [_pool(mode, folders) for mode in sorted(set.intersection(*modes) - {"keras"})]


def _pool(mode: str, folders: Sequence[Path]) -> PooledDrop:
    counts = {"lost_malignant": 0, "gained_malignant": 0}
    counts |= {"new_false_alarm": 0, "cleared_false_alarm": 0}
    malignant: list[str] = []
    for folder in folders:
        before, after = (_read(folder, name) for name in ("keras", mode))
        flips = find_flips(before, after, threshold=open_run(folder).threshold)
        counts = {kind: number + flips.counts()[kind] for kind, number in counts.items()}
        malignant += [
            i for i, is_one in zip(before.image_ids, before.labels, strict=True) if is_one
        ]
    lost, gained = counts["lost_malignant"], counts["gained_malignant"]
    return PooledDrop(
        mode=mode,
        runs=len(folders),
        malignant=len(malignant),
        different_malignant=len(set(malignant)),
        **counts,
        recall_drop=(lost - gained) / len(malignant),
        recall_drop_upper95=score_upper_bound(lost=lost, gained=gained, pairs=len(malignant)),
        mcnemar_p=exact_mcnemar(
            lost + counts["new_false_alarm"], gained + counts["cleared_false_alarm"]
        ),
        mcnemar_p_malignant=exact_mcnemar(lost, gained),
    )


def render_pooled(drops: Sequence[PooledDrop]) -> list[str]:
    """A Markdown table, a line a mode."""
    rows = [
        [
            drop.mode,
            f"{drop.runs}",
            f"{drop.malignant} ({drop.different_malignant})",
            f"{drop.lost_malignant}/{drop.gained_malignant}",
            f"{drop.recall_drop:+.4f}",
            f"{drop.recall_drop_upper95:.4f}",
            f"{drop.new_false_alarm}/{drop.cleared_false_alarm}",
            f"{drop.mcnemar_p:.3f}",
            f"{drop.mcnemar_p_malignant:.3f}",
        ]
        for drop in drops
    ]
    return table_of(COLUMNS, rows)


def _bench(folder: Path) -> Path:
    bench = folder / "bench"
    if not (bench / "predictions_keras.csv").is_file():
        raise EdgeMelanomaError(
            f"The run {folder} was not benched; do it with: edge-melanoma bench {folder}"
        )
    return bench


def _read(folder: Path, name: str) -> PredictionSet:
    return read_predictions(_bench(folder) / f"predictions_{name}.csv")


def main() -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    drops = pool_drops(options.runs)
    if options.json:
        print(json.dumps([asdict(drop) for drop in drops], indent=2))
    else:
        print("\n".join(render_pooled(drops)))


if __name__ == "__main__":
    main()
