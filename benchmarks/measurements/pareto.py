"""Which files are worth having: no other one is as good in recall, AUC, size and time at once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from edge_melanoma.evaluation.figures import save_figure

MARKERS = "osD^vP*X"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One exported file of one variant: shares, bytes, and CPU milliseconds of a picture."""

    variant: str
    mode: str
    recall: float
    recall_interval: tuple[float, float]
    auc: float
    size_bytes: int
    cpu_ms: float

    def dominates(self, other: "Candidate") -> bool:
        """Nowhere worse and somewhere better."""
        mine, theirs = self._goodness(), other._goodness()
        return mine != theirs and all(a >= b for a, b in zip(mine, theirs, strict=True))

    def _goodness(self) -> tuple[float, ...]:
        return self.recall, self.auc, -self.size_bytes, -self.cpu_ms


def read_candidates(variant: str, report: dict[str, Any]) -> list[Candidate]:
    """The exported files of a parity.json whose latency was measured."""
    return [
        Candidate(
            variant=variant,
            mode=model["mode"],
            recall=model["metrics"]["recall"],
            recall_interval=tuple(model["intervals"]["recall"]),
            auc=model["metrics"]["auc"],
            size_bytes=model["size_bytes"],
            cpu_ms=model["latency_ms"]["cpu_p50"],
        )
        for model in report["candidates"]
        if model.get("latency_ms")
    ]


def pareto_front(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that no other one dominates, highest recall first."""
    front = [c for c in candidates if not any(other.dominates(c) for other in candidates)]
    return sorted(front, key=lambda candidate: -candidate.recall)


def draw_pareto(candidates: Sequence[Candidate], path: Path, *, title: str) -> Path:
    """Recall with its 95 % interval against size and against CPU time; the front is filled."""
    front = pareto_front(candidates)
    figure = Figure(figsize=(12.5, 5.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    _draw_panel(left, candidates, front, [c.size_bytes / 1e6 for c in candidates], "size, MB")
    _draw_panel(right, candidates, front, [c.cpu_ms for c in candidates], "CPU ms a picture")
    left.set_ylabel("recall at the operating point, 95 % interval")
    figure.legend(*right.get_legend_handles_labels(), fontsize=7, loc="outside right center")
    figure.suptitle(f"{title}\nfilled: no other file is as good in recall, AUC, size and time")
    return save_figure(figure, path)


def _draw_panel(
    axes: Axes,
    candidates: Sequence[Candidate],
    front: Iterable[Candidate],
    places: Sequence[float],
    label: str,
) -> None:
    variants = list(dict.fromkeys(candidate.variant for candidate in candidates))
    modes = list(dict.fromkeys(candidate.mode for candidate in candidates))
    filled = set(front)
    for candidate, place in zip(candidates, places, strict=True):
        colour = COLOURS[variants.index(candidate.variant) % len(COLOURS)]
        low, high = candidate.recall_interval
        axes.errorbar(
            place,
            candidate.recall,
            yerr=[[candidate.recall - low], [high - candidate.recall]],
            fmt=MARKERS[modes.index(candidate.mode) % len(MARKERS)],
            color=colour,
            markerfacecolor=colour if candidate in filled else "white",
            elinewidth=0.5,
            label=f"{candidate.variant} {candidate.mode}",
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(label)
    axes.grid(visible=True, which="both", alpha=0.3)
