"""What `predict` does: scores, decisions and, for a quantised model, the integer it gave."""

import json
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from edge_melanoma.data.images import read_image
from edge_melanoma.data.lesions import IMAGE_SUFFIXES, names_a_picture
from edge_melanoma.errors import EdgeMelanomaError, printable
from edge_melanoma.evaluation.evaluation import CONVENTIONAL_THRESHOLD
from edge_melanoma.evaluation.subject import open_model
from edge_melanoma.machine.terminal import TerminalReporter, results_console
from edge_melanoma.runs.models import ConvertedModel, TrainedModel
from edge_melanoma.runtime.classifiers import KerasClassifier, choose_runtime, score_with_integers
from edge_melanoma.runtime.interpreters import SessionSettings, try_model
from edge_melanoma.runtime.names import Runtime

Score = tuple[float, int | None]


def predict_images(
    path: Path, images: Sequence[Path], *, interpreter: Runtime | None, as_json: bool
) -> None:
    """Score every picture and print a row each; all are read before the first is scored.

    Files that a data set would skip are skipped here too, and it is said.
    """
    run, converted = open_model(path)
    images = _without_skipped(images)
    for image in images:
        read_image(image)
    scores = _score(run, converted, images, interpreter)
    threshold = _threshold(run, converted)
    point = converted.manifest.get("operating_point") if converted is not None else None
    threshold_integer = point["integer"] if point else None
    rows: list[dict[str, object]] = [
        {
            "file": str(image),
            "p_malignant": score,
            "decision": "malignant" if score >= threshold else "benign",
            "threshold": threshold,
            "threshold_integer": threshold_integer,
            "model": path.name,
            "output_integer": integer,
        }
        for image, (score, integer) in zip(images, scores, strict=True)
    ]
    if as_json:
        print(json.dumps(rows, indent=2))
    else:
        _show(rows)


def _without_skipped(images: Sequence[Path]) -> list[Path]:
    named = [image for image in images if names_a_picture(image)]
    reporter = TerminalReporter()
    for image in images:
        if image not in named:
            reporter.say(f"Skipped {printable(str(image))}: its name is not that of a picture")
    if not named:
        raise EdgeMelanomaError(
            f"No file has the name of a picture; expected one that is not hidden and ends in "
            f"{', '.join(sorted(IMAGE_SUFFIXES))}."
        )
    return named


def _score(
    run: TrainedModel | None,
    converted: ConvertedModel | None,
    images: Sequence[Path],
    interpreter: Runtime | None,
) -> list[Score]:
    if converted is not None:
        runtime = choose_runtime(interpreter)
        try_model(converted, runtime=runtime)
        settings = SessionSettings(data=converted.data, name=converted.path.name, runtime=runtime)
        return score_with_integers(settings, images)
    if run is None:
        raise ValueError("neither a run nor a converted model")
    from edge_melanoma.network.network import load_network

    classifier = KerasClassifier(load_network(run))
    return [(score, None) for score in classifier.stream_scores(images)]


def _threshold(run: TrainedModel | None, converted: ConvertedModel | None) -> float:
    if converted is not None and "threshold" in converted.manifest:
        return float(converted.manifest["threshold"])
    return run.threshold if run is not None else CONVENTIONAL_THRESHOLD


def _show(rows: Sequence[dict[str, object]]) -> None:
    table = Table(caption="Research only, not a medical device.")
    for column in ("file", "P(malignant)", "decision", "threshold"):
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(
            str(row["file"]),
            f"{row['p_malignant']:.4f}",
            str(row["decision"]),
            f"{row['threshold']:.4f}",
        )
    results_console(width=140).print(table)
