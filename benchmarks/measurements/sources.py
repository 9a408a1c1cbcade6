"""Any models on the test side of one run, and on sets from elsewhere, each at its own threshold.

    python benchmarks/measurements/sources.py RUN MODEL... --external NAME=DIR --out FOLDER

Writes what `evaluate --json` writes, a file a model, for `readme.py headline`. Other models than
the run's own may have learned from pictures of that test side: nothing of it is left out for them.
A network whose score is a mean over views is measured with one view too.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge_melanoma.data.images import RESIZE_ID
from edge_melanoma.data.screening import default_fingerprint_folder
from edge_melanoma.data.sets import name_external_sets
from edge_melanoma.evaluation.evaluation import measure_set
from edge_melanoma.evaluation.judged_pictures import (
    JudgedPictures,
    learned_by_run,
    read_external_sets,
    read_own_side,
)
from edge_melanoma.evaluation.subject import Subject, open_model
from edge_melanoma.machine.files import write_json
from edge_melanoma.machine.terminal import Reporter, TerminalReporter
from edge_melanoma.runs.models import TrainedModel, open_run


def main() -> None:
    """Score each model on the same pictures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("run", type=Path)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--external", action="append", default=[])
    parser.add_argument("--out", type=Path, default=Path("build/sources"))
    options = parser.parse_args()
    reporter = TerminalReporter()
    run = open_run(options.run)
    inside = read_own_side(run)
    outside = read_external_sets(
        name_external_sets(options.external),
        learned_by_run(run),
        reporter=reporter,
        cache_folder=default_fingerprint_folder(),
    )
    for path in options.models:
        target = options.out / f"{path.resolve().parts[-1]}.json"
        if path.suffix == ".tflite":
            target = options.out / f"{path.resolve().parts[-3]}-{path.stem}.json"
        subject = open_model(path)
        write_json(target, _measure(subject, run, inside, outside, reporter))
        print(target)
        if isinstance(subject.model, TrainedModel) and subject.model.views > 1:
            target = target.with_stem(f"{target.stem}-one-view")
            told = _measure(_with_one_view(subject), run, inside, outside, reporter)
            told["model"]["mode"] += ", 1 view"
            write_json(target, told)
            print(target)


def _with_one_view(subject: Subject) -> Subject:
    """The network on pictures as they are, at the same threshold."""
    run = subject.model
    assert isinstance(run, TrainedModel)
    recipe = {**run.manifest["recipe"], "views": 1}
    return replace(subject, model=replace(run, manifest={**run.manifest, "recipe": recipe}))


def _measure(
    subject: Subject,
    run: TrainedModel,
    inside: JudgedPictures,
    outside: tuple[JudgedPictures, ...],
    reporter: Reporter,
) -> dict[str, Any]:
    """As `evaluate --json` has it, under the name of the model's run folder.

    `learned_otherwise` where that is another one.
    """
    own, *others = subject.score([one.records for one in (inside, *outside)], reporter)
    theirs, facts = subject.run, subject.facts
    if theirs is not None:
        facts["model"]["variant"] = theirs.folder.resolve().name
    return {
        "schema": 1,
        **facts,
        "learned_otherwise": theirs is None or theirs.sha256 != run.sha256,
        "resize": RESIZE_ID,
        **inside.as_dict(),
        **measure_set(own, subject.threshold),
        "external": {
            found.name: found.as_dict() | measure_set(scores, subject.threshold)
            for found, scores in zip(outside, others, strict=True)
        },
    }


if __name__ == "__main__":
    main()
