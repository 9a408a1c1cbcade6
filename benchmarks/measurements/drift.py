"""How often `drift` tells a changed camera, and how often it is wrong: the table of docs/drift.md.

    python benchmarks/measurements/drift.py RUN --mode int8-qat --outside FOLDER

RUN is a run whose pictures are there, with the export in its exports; FOLDER is a set of a clinic
that it was not trained on.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter

from edge_melanoma.benchmarks.studies.stability import PIPELINES, gain
from edge_melanoma.data.images import read_image
from edge_melanoma.data.sets import read_data_sets
from edge_melanoma.evaluation.drift import ALL, DRAWN, compare_counts, values_of
from edge_melanoma.evaluation.predictions import Origin, origin_of
from edge_melanoma.machine.files import write_atomically
from edge_melanoma.machine.markdown import insert_between
from edge_melanoma.machine.terminal import TerminalReporter
from edge_melanoma.runs.converted import ConvertedModel, open_converted
from edge_melanoma.runs.models import open_run
from edge_melanoma.runs.pictures import read_side
from edge_melanoma.runtime.classifiers import SessionPool
from edge_melanoma.runtime.interpreters import SessionSettings, TFLiteSession
from edge_melanoma.runtime.names import Runtime
from edge_melanoma.tflite.counts import BINS, MEASURES, Values, bins_of, count_pictures

Pixels = NDArray[np.uint8]
Change = Callable[[Pixels], Pixels]
DRAWS, CHANGED_DRAWS, CHANGED_PICTURES = 2000, 1000, 700
AT_ONCE = 256


def _levels(image: Pixels, *, gains: tuple[float, float, float]) -> Pixels:
    return (image * np.array(gains)).round().clip(0, 255).astype(np.uint8)


def _saturation(image: Pixels, *, factor: float) -> Pixels:
    return np.asarray(ImageEnhance.Color(Image.fromarray(image)).enhance(factor))


def _blur(image: Pixels, *, radius: float) -> Pixels:
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(radius)))


def _warm(share: float) -> tuple[float, float, float]:
    return 1 + share, 1.0, 1 - share


CHANGES: Mapping[str, Change] = {
    "levels of red +5%, of blue -5%": partial(_levels, gains=_warm(0.05)),
    "levels of red -5%, of blue +5%": partial(_levels, gains=_warm(-0.05)),
    "levels of red +10%, of blue -10%": partial(_levels, gains=_warm(0.1)),
    "levels of red -10%, of blue +10%": partial(_levels, gains=_warm(-0.1)),
    "light of red +5%, of blue -5%": partial(gain, gains=_warm(0.05)),
    "light of red -5%, of blue +5%": partial(gain, gains=_warm(-0.05)),
    "1/3 stop darker": PIPELINES["1/3 stop darker"],
    "saturation +20%": partial(_saturation, factor=1.2),
    "blurred by one pixel": partial(_blur, radius=1.0),
    "JPEG quality 50": PIPELINES["JPEG quality 50"],
}
"""Of the pixels that the network sees."""


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("run", type=Path)
    parser.add_argument("--mode", choices=("int8", "int8-qat"), default="int8-qat")
    parser.add_argument("--outside", type=Path, required=True)
    parser.add_argument("--docs", type=Path, default=Path("docs/drift.md"))
    options = parser.parse_args()
    run = open_run(options.run)
    model = open_converted(run.exports_folder / f"model_{options.mode}.tflite")
    lines = list(_measure(model, read_side(run, "test"), options.outside))
    text = options.docs.read_text(encoding="utf-8")
    write_atomically(options.docs, insert_between(text, name="drift", text="\n".join(lines) + "\n"))


def _measure(model: ConvertedModel, records: Sequence[Any], outside: Path) -> Iterator[str]:
    reporter = TerminalReporter()
    origins = [origin_of(record) for record in records]
    plain = _values(model, [record.path for record in records], None)
    clinics = [name for name in model.counts["groups"] if name != ALL]
    yield f"| change | {' | '.join(['all clinics', *clinics])} |"
    yield f"|{' --- |' * (len(clinics) + 2)}"
    random = np.random.default_rng(0)
    draw = partial(_row, model, clinics=clinics, random=random)
    yield draw("none, pictures drawn", plain, _by_picture(origins), draws=DRAWS)
    yield draw("none, whole lesions drawn", plain, _by_lesion(origins), draws=DRAWS)
    some = np.sort(np.random.default_rng(0).permutation(len(records))[:CHANGED_PICTURES])
    chosen = [origins[place] for place in some]
    for name, change in CHANGES.items():
        reporter.say(name)
        changed = _values(model, [records[place].path for place in some], change)
        yield draw(name, changed, _by_picture(chosen), draws=CHANGED_DRAWS)
    strange = read_data_sets({outside.name: outside})
    values = _values(model, [record.path for record in strange], None)
    told = compare_counts(count_pictures(values, model.counts["edges"]), model.counts)
    distance = told["groups"][told["nearest"]]["distance"]
    yield ""
    yield (
        f"Share of draws in which drift is told: {DRAWN} pictures a draw, with replacement, of the "
        f"{len(records)} of the test side of {model.path.name} ({model.sha256[:12]}), {DRAWS} "
        f"draws; with a change, of {len(some)} of them, {CHANGED_DRAWS} draws. No lesion of the "
        f"test side is on the validation side. The {len(strange)} pictures of {outside.name}, of "
        f"another clinic, are {'drift' if told['drift'] else 'no drift'}: nearest is "
        f"{told['nearest']}, {distance:.2f} of the limit away."
    )


def _values(model: ConvertedModel, paths: Sequence[Path], change: Change | None) -> list[Values]:
    settings = SessionSettings(
        data=model.data, name=model.path.name, runtime=Runtime.LITERT, gate=model.gate
    )
    values: list[Values] = []
    with SessionPool({settings.name: settings}) as pool:
        for start in range(0, len(paths), AT_ONCE):
            seen = [_see(path, change) for path in paths[start : start + AT_ONCE]]
            values += values_of(list(pool.map(TFLiteSession.answer, seen, model=settings.name)))
    return values


def _see(path: Path, change: Change | None) -> Pixels:
    pixels = read_image(path)
    return change(pixels) if change else pixels


def _by_picture(origins: Sequence[Origin]) -> dict[str, list[list[int]]]:
    """Pictures that are drawn together, by clinic: each alone."""
    found: dict[str, list[list[int]]] = {ALL: [[place] for place in range(len(origins))]}
    for place, origin in enumerate(origins):
        found.setdefault(origin.source, []).append([place])
    return found


def _by_lesion(origins: Sequence[Origin]) -> dict[str, list[list[int]]]:
    lesions: dict[tuple[str, str], list[int]] = {}
    for place, origin in enumerate(origins):
        for group in (ALL, origin.source):
            lesions.setdefault((group, origin.lesion), []).append(place)
    found: dict[str, list[list[int]]] = {}
    for (group, _), places in lesions.items():
        found.setdefault(group, []).append(places)
    return found


def _row(
    model: ConvertedModel,
    name: str,
    values: Sequence[Values],
    together: Mapping[str, list[list[int]]],
    *,
    draws: int,
    clinics: Sequence[str],
    random: np.random.Generator,
) -> str:
    bins = np.full((len(values), len(MEASURES)), -1)
    for row, one in enumerate(values):
        for measure, place in bins_of(one, model.counts["edges"]).items():
            bins[row, MEASURES.index(measure)] = place
    cells = []
    for group in (ALL, *clinics):
        told = 0
        for _ in range(draws):
            drawn = random.integers(len(together[group]), size=DRAWN)
            places = [place for number in drawn for place in together[group][number]][:DRAWN]
            counts = {
                measure: np.bincount(column[column >= 0], minlength=BINS).tolist()
                for measure, column in zip(MEASURES, bins[places].T, strict=True)
            }
            told += compare_counts(counts, model.counts)["drift"]
        cells.append(f"{told / draws:.3f}")
    return f"| {name} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
