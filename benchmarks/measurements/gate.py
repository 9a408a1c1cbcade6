"""What the gate of the model in the package refuses: the tables and the picture of docs/gate.md.

    python benchmarks/measurements/gate.py RUN --sets FOLDER --outside ph2-200 --docs docs/gate.md

RUN is the run that ships, with its exports, FOLDER holds the data sets. Needs scikit-image, whose
sample pictures are among those that must be refused.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from faulty_pictures import FAULTS
from numpy.typing import NDArray
from odd_pictures import draw_all

from edge_melanoma.data.faults import find_faults
from edge_melanoma.data.images import read_image, resize_image, scale_pixels
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.sets import read_data_sets
from edge_melanoma.evaluation.metrics import wilson_interval
from edge_melanoma.machine.files import write_atomically
from edge_melanoma.machine.markdown import insert_between
from edge_melanoma.machine.terminal import TerminalReporter
from edge_melanoma.network.gate import Gate, means_of, read_gate
from edge_melanoma.network.network import compile_forward, load_network
from edge_melanoma.runs.converted import ConvertedModel, open_converted
from edge_melanoma.runs.models import open_run
from edge_melanoma.runs.pictures import read_side
from edge_melanoma.runtime.classifiers import SessionPool
from edge_melanoma.runtime.interpreters import Answer, SessionSettings, TFLiteSession
from edge_melanoma.runtime.names import Runtime

TEST_PICTURES, FAULTY_PICTURES, SCORED_FAULTY = 1000, 200, 60
MOVED = 0.1
"""Mean change of a score from which on a fault has to be named."""

SHOWN = (
    *("page-003", "page-011", "chart-004", "chart-011", "pattern-010", "pattern-013"),
    *("pattern-020", "pattern-032", "noise-002", "noise-010", "plain-007", "plain-012"),
)
"""Of those that are drawn here: samples and skin are others' pictures."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Pictures of one kind, how the file and the network place them, and what must be."""

    name: str
    answers: Sequence[Answer]
    distances: NDArray[np.float64]

    @property
    def refused(self) -> int:
        """By the int8 file."""
        return sum(not one.placed.in_domain for one in self.answers if one.placed)

    @property
    def places(self) -> list[float]:
        """Distances of the int8 file."""
        return [one.placed.distance for one in self.answers if one.placed]


class Judge:
    """A run's int8 file and its float network, side by side."""

    def __init__(self, folder: Path, *, mode: str) -> None:
        run = open_run(folder)
        gate = read_gate(run)
        if gate is None:
            raise SystemExit(f"{folder} has no gate")
        self.run, self.gate = run, gate
        self.model = open_converted(run.exports_folder / f"model_{mode}.tflite")
        self._means = compile_forward(means_of(load_network(run)))
        settings = _settings_of(self.model)
        self._pool = SessionPool({settings.name: settings})

    def answers(self, pictures: Sequence[Pixels]) -> list[Answer]:
        """What the file says."""
        return list(self._pool.map(TFLiteSession.answer, pictures, model=self.model.path.name))

    def group(self, name: str, pictures: Sequence[Pixels]) -> Group:
        """Both, of pictures (n, 224, 224, 3)."""
        parts = [pictures[at : at + 32] for at in range(0, len(pictures), 32)]
        means = np.concatenate([self._means(scale_pixels(np.stack(part))) for part in parts])
        distances = self.gate.distances(means)
        return Group(name=name, answers=self.answers(pictures), distances=distances)


def main() -> None:
    """Measure, and write the tables and the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("run", type=Path)
    parser.add_argument("--mode", choices=("int8", "int8-qat"), default="int8-qat")
    parser.add_argument("--sets", type=Path, required=True)
    parser.add_argument("--outside", default="ph2-200")
    parser.add_argument("--docs", type=Path, default=Path("docs/gate.md"))
    parser.add_argument("--picture", type=Path, default=Path("benchmarks/results/gate.png"))
    options = parser.parse_args()
    judge = Judge(options.run, mode=options.mode)
    tested = list(read_side(judge.run, "test"))
    chosen = np.sort(np.random.default_rng(0).permutation(len(tested))[:TEST_PICTURES])
    test = [tested[place] for place in chosen]
    skin = options.sets / "melanoma-10605/test/benign"
    odd = dict(draw_all(seed=0, skin=skin))
    shown = {name: resize_image(pixels) for name, pixels in odd.items()}
    text = options.docs.read_text(encoding="utf-8")
    groups = list(_odd_groups(judge, shown))
    reporter = TerminalReporter()
    reporter.say("Odd pictures are judged")
    sets = [
        *_lesion_groups(judge, "test side", test),
        *_lesion_groups(judge, options.outside, _records_of(options.sets / options.outside)),
    ]
    text = insert_between(
        text, name="refused", text=_refused_table(judge.gate, groups, sets) + "\n"
    )
    some = test[:: len(test) // FAULTY_PICTURES][:FAULTY_PICTURES]
    faulty = _fault_rows(judge, [read_image(one.path) for one in some])
    text = insert_between(text, name="faults", text="\n".join(faulty) + "\n")
    _draw(judge, {name: shown[name] for name in SHOWN if name in shown}, options.picture)
    write_atomically(options.docs, text)


def _settings_of(model: ConvertedModel) -> SessionSettings:
    return SessionSettings(
        data=model.data, name=model.path.name, runtime=Runtime.LITERT, gate=model.gate
    )


def _records_of(folder: Path) -> list[LesionRecord]:
    return list(read_data_sets({folder.name: folder}))


def _odd_groups(judge: Judge, shown: dict[str, Pixels]) -> Iterator[Group]:
    kinds = dict.fromkeys(name.split("-")[0] for name in shown)
    for kind in kinds:
        pictures = [pixels for name, pixels in shown.items() if name.startswith(kind)]
        yield judge.group(kind, pictures)


def _lesion_groups(judge: Judge, name: str, records: Sequence[LesionRecord]) -> Iterator[Group]:
    for kind, is_malignant in (("benign", False), ("malignant", True)):
        paths = [record.path for record in records if record.is_malignant is is_malignant]
        yield judge.group(f"{name}, {kind}", [read_image(path) for path in paths])


NAMES = {
    "page": "pages of text",
    "chart": "charts and screens",
    "pattern": "patterns and textures",
    "noise": "noise",
    "plain": "plain colours and gradients",
    "photo": "sample photographs of scikit-image, scikit-learn and matplotlib, whole and cut",
    "skin": "bare skin, cut from benign pictures' corners",
}


def _refused_table(gate: Gate, odd: Sequence[Group], lesions: Sequence[Group]) -> str:
    from sklearn.metrics import roc_auc_score

    lines = [
        "| pictures | number | refused by int8 | share (95 % interval) | by float | gate flips |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    limit = gate.rule.limit
    lines += [_row(NAMES[group.name], [group], limit) for group in odd]
    lines += [_row("**no picture of a lesion, all**", odd, limit)]
    lines += [_row(group.name, [group], limit) for group in lesions]
    own = [group for group in lesions if group.name.startswith("test side")]
    lines += [_row("**test side, all**", own, limit)]
    labels = np.repeat([0, 1], [sum(len(g.answers) for g in side) for side in (own, odd)])
    places = [[place for group in side for place in group.places] for side in (own, odd)]
    floats = np.concatenate([group.distances for side in (own, odd) for group in side])
    aucs = roc_auc_score(labels, np.concatenate(places)), roc_auc_score(labels, floats)
    return "\n".join(
        [
            *lines,
            "",
            f"AUROC of the distance, test side against no picture of a lesion: {aucs[0]:.4f} in "
            f"int8, {aucs[1]:.4f} in float. The limit, {limit:g}, is the 98.5th percentile of the "
            f"network's distances on validation.",
        ]
    )


def _row(name: str, groups: Sequence[Group], limit: float) -> str:
    count = sum(len(group.answers) for group in groups)
    refused = sum(group.refused for group in groups)
    floats = [bool(far) for group in groups for far in group.distances > limit]
    inside = [place > limit for group in groups for place in group.places]
    flips = sum(a != b for a, b in zip(floats, inside, strict=True))
    low, high = wilson_interval(refused, count)
    share = f"{refused / count:.3f} ({low:.3f} to {high:.3f})"
    return f"| {name} | {count} | {refused} | {share} | {sum(floats)} | {flips} |"


def _fault_rows(judge: Judge, pictures: Sequence[Pixels]) -> Iterator[str]:
    accused = sum(bool(find_faults(picture)) for picture in pictures)
    plain = [one.score for one in judge.answers(pictures[:SCORED_FAULTY])]
    yield "| fault | strength | score moves by | named | refused by the gate |"
    yield "| --- | --- | --- | --- | --- |"
    for name, (spoil, strengths) in FAULTS.items():
        for strength in strengths:
            spoilt = [
                spoil(picture, strength, np.random.default_rng(place))
                for place, picture in enumerate(pictures)
            ]
            named = sum(name in find_faults(picture) for picture in spoilt) / len(spoilt)
            found = judge.answers(spoilt[:SCORED_FAULTY])
            moved = float(np.mean([abs(a.score - b) for a, b in zip(found, plain, strict=True)]))
            refused = np.mean([not one.placed.in_domain for one in found if one.placed])
            mark = "**" if moved >= MOVED else ""
            yield (
                f"| {name} | {strength:g} | {mark}{moved:.3f}{mark} | {named:.2f} | {refused:.2f} |"
            )
    yield ""
    yield (
        f"On {len(pictures)} pictures of the test side; scores and refusals on the first "
        f"{SCORED_FAULTY} of them. Of the pictures as they are, {accused} are accused of a fault "
        f"({accused / len(pictures):.1%})."
    )


def _draw(judge: Judge, pictures: dict[str, Pixels], path: Path) -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, len(pictures) // 2, figsize=(13, 6))
    answers = judge.answers(list(pictures.values()))
    for axis, picture, answer in zip(axes.flat, pictures.values(), answers, strict=True):
        placed: Any = answer.placed
        reasons = ["unlike the training pictures"] * (not placed.in_domain) + [*answer.faults]
        axis.imshow(picture)
        axis.set_axis_off()
        word = "judged" if placed.in_domain else "not judged"
        told = "\n".join([f"{word}, {placed.distance:.0f}", *reasons[:3]])
        axis.set_title(told, fontsize=7, wrap=False)
    figure.suptitle(f"Squared distance; what is beyond {judge.gate.rule.limit:g} is not judged")
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
