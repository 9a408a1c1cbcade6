"""What the commands do, as functions that return objects, for scripts and notebooks.

    import edge_melanoma as em

    run = em.train("photos", variant="partial")
    float32, int8 = em.export(run, quantize="int8")
    report = em.bench(run)
    found = em.predict(int8, "photo.jpg")

Folders and files are strings or paths. What a user can mend raises `EdgeMelanomaError`, in the
words of the command line. Progress goes to stderr. Results show themselves as tables in a notebook,
and `to_dict()` gives their rows, as `pandas.DataFrame` takes them. `train`, `export` and `bench`
keep what they were given as config.toml beside their results, which `--config` of the commands
reads. For research; not a medical device.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from edge_melanoma.api.results import (
    DataFindings,
    Evaluation,
    Model,
    ParityReport,
    Prediction,
    Rows,
    Run,
)
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.terminal import TerminalReporter

StrPath = str | os.PathLike[str]
NO_SETS: Mapping[str, StrPath] = MappingProxyType({})


def load(place: StrPath) -> Run | Model:
    """A run folder, a .tflite file, or the word `bundled`: the file in the package."""
    from edge_melanoma.evaluation.subject import open_model
    from edge_melanoma.runs.models import TrainedModel

    model = open_model(Path(place)).model
    return _run_of(model) if isinstance(model, TrainedModel) else _model_of(model)


def train(
    data: StrPath | Iterable[StrPath],
    *,
    variant: str = "partial",
    weights: str = "imagenet",
    split: str | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    seed: int = 0,
    min_recall: float | None = None,
    out: StrPath | None = None,
    resume: bool = False,
    force: bool = False,
    external: Mapping[str, StrPath] = NO_SETS,
    callbacks: Sequence[Any] = (),
) -> Run:
    """Train one variant on one data set or several.

    `callbacks` are those of tf_keras; they see every stage's `fit`. The other arguments are the
    options of `edge-melanoma train`.
    """
    from edge_melanoma.data.splits import SplitKind
    from edge_melanoma.network.recipes import Variant
    from edge_melanoma.training.material import TrainingSettings
    from edge_melanoma.training.session import train_variants

    settings = TrainingSettings(
        variant=_one_of(Variant, variant, "variant"),
        weights=weights,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
    )
    (folder,) = train_variants(
        _paths(data),
        [settings],
        split=_one_of(SplitKind, split, "split") if split else None,
        min_recall=min_recall,
        out=_path(out),
        resume=resume,
        force=force,
        external=_sets(external),
        callbacks=tuple(callbacks),
        options=_options(
            data=_paths(data),
            variant=variant,
            weights=weights,
            split=split,
            epochs=epochs,
            batch_size=batch_size,
            seed=seed,
            min_recall=min_recall,
            external=external,
        ),
    )
    return _open(folder)


def import_keras(
    model: StrPath,
    *,
    out: StrPath,
    data: StrPath | Iterable[StrPath] = (),
    input_range: str | None = None,
    malignant_index: str | None = None,
    image_size: int | None = None,
    checks: Sequence[str] = (),
    force: bool = False,
) -> Run:
    """Make a run of a Keras file that was trained elsewhere; nothing of the file is run.

    `input_range`, one of `0..1`, `-1..1` and `0..255`, and `malignant_index`, such as `1` or
    `4,5,6`, are for files that do not tell. `checks` are `IMAGE=SCORE` or tables of file and score.
    """
    from edge_melanoma.tflite.ends import choose_ends
    from edge_melanoma.training.imported import import_run

    folder = import_run(
        Path(model),
        choose_ends(input_range, malignant_index),
        out=Path(out),
        image_size=image_size,
        checks=checks,
        data=_paths(data),
        force=force,
    )
    return _open(folder)


def export(
    run: Run | StrPath | None = None,
    *,
    quantize: str | Sequence[str] = "int8",
    force: bool = False,
    **settings: Any,
) -> Rows[Model]:
    """Convert a run, the newest if none is given, and audit every file; float32 comes first.

    It is always made, and shows what conversion alone costs.
    `settings` are fields of `edge_melanoma.converters.settings.ExportSettings`.
    """
    from edge_melanoma.converters.export import export_run
    from edge_melanoma.converters.settings import ExportSettings
    from edge_melanoma.runs.bundled import find_run_or_bundled
    from edge_melanoma.tflite.modes import parse_modes

    names = [quantize] if isinstance(quantize, str) else list(quantize)
    chosen = ExportSettings(**settings)
    exported = export_run(
        find_run_or_bundled(_place(run)),
        parse_modes(names),
        settings=chosen,
        force=force,
        options=_options(quantize=names, **chosen.options()),
    )
    return Rows(map(_model_of, exported))


def bench(
    run: Run | StrPath | None = None,
    *,
    data: StrPath | None = None,
    contract: StrPath | None = None,
    limit: int | None = None,
    external: Mapping[str, StrPath] = NO_SETS,
) -> ParityReport:
    """Score the same pictures with the network and with every exported file of a run."""
    from edge_melanoma.benchmarks.bench import run_bench
    from edge_melanoma.benchmarks.parity.contract_file import find_contract

    pictures, limits = _path(data), _path(contract)
    report = run_bench(
        _place(run),
        data=pictures,
        contract=limits or find_contract(),
        limit=limit,
        external=_sets(external),
        options=_options(data=pictures, contract=limits, limit=limit, external=external),
    )
    return ParityReport(report=report.as_dict(), passed=report.passed)


def evaluate(
    model: Run | Model | StrPath,
    *,
    data: StrPath | None = None,
    threshold: float | None = None,
    external: Mapping[str, StrPath] = NO_SETS,
) -> Evaluation:
    """Metrics with intervals on `data`, or on the test side of the run that the model is of."""
    from edge_melanoma.evaluation.subject import evaluate_subject, open_model

    evaluated = evaluate_subject(
        open_model(_place(model) or Path(), threshold=threshold),
        data=_path(data),
        external=_sets(external),
        reporter=TerminalReporter(),
    )
    return Evaluation(result=evaluated.result)


def predict(
    model: Run | Model | StrPath,
    images: StrPath | Iterable[StrPath],
    *,
    threshold: float | None = None,
    counts: StrPath | None = None,
) -> Rows[Prediction]:
    """Score pictures; the decision is made at the model's own threshold, or at `threshold`.

    What they measure is added to the file `counts`, for `edge-melanoma drift`, if one is given.
    """
    from edge_melanoma.evaluation.decisions import predict_files
    from edge_melanoma.evaluation.subject import open_model

    subject = open_model(_place(model) or Path(), threshold=threshold)
    rows = predict_files(subject, _paths(images), reporter=TerminalReporter(), counts=_path(counts))
    return Rows(Prediction(**row) for row in rows)


def check_data(data: StrPath | Iterable[StrPath]) -> DataFindings:
    """Unreadable files, copies, label conflicts, leaks and shortcuts of one data set or several."""
    from edge_melanoma.check.report import examine_data
    from edge_melanoma.data.screening import default_fingerprint_folder
    from edge_melanoma.data.sets import name_folders

    found = examine_data(
        name_folders(_paths(data)),
        cache_folder=default_fingerprint_folder(),
        reporter=TerminalReporter(),
    )
    return DataFindings(report=dict(found.told))


def _open(folder: Path) -> Run:
    from edge_melanoma.runs.models import open_run

    return _run_of(open_run(folder))


def _run_of(run: Any) -> Run:
    return Run(folder=run.folder, variant=run.variant, threshold=run.threshold)


def _model_of(model: Any) -> Model:
    return Model(
        path=model.path,
        mode=model.mode,
        size_bytes=model.size_bytes,
        sha256=model.sha256,
        threshold=model.manifest.get("threshold"),
    )


def _place(model: Run | Model | StrPath | None) -> Path | None:
    if isinstance(model, Run):
        return model.folder
    return model.path if isinstance(model, Model) else _path(model)


def _path(path: StrPath | None) -> Path | None:
    return None if path is None else Path(path)


def _paths(given: StrPath | Iterable[StrPath]) -> list[Path]:
    return [Path(given)] if isinstance(given, str | os.PathLike) else [Path(one) for one in given]


def _sets(external: Mapping[str, StrPath]) -> dict[str, Path]:
    return {name: Path(path) for name, path in external.items()}


def _options(external: Mapping[str, StrPath] = NO_SETS, **arguments: Any) -> dict[str, Any]:
    """Arguments as the options of a command that they stand for."""
    told = {name.replace("_", "-"): value for name, value in arguments.items()}
    return told | {"external": [f"{name}={path}" for name, path in external.items()]}


def _one_of(kind: Any, name: str, argument: str) -> Any:
    try:
        return kind(name)
    except ValueError:
        raise EdgeMelanomaError(
            f"{argument}='{name}' is not known; expected one of {', '.join(kind)}."
        ) from None
