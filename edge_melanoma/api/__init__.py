"""What the commands do, as functions that return objects, for scripts and notebooks.

    import edge_melanoma as em

    run = em.train("photos", variant="partial")
    models = em.export(run, quantize="int8")
    report = em.bench(run)
    found = em.predict(models[0], "photo.jpg")

Folders and files are strings or paths. What a user can mend raises `EdgeMelanomaError`, in the
words of the command line. Progress goes to stderr. Results show themselves as tables in a notebook,
and `to_dict()` gives their rows, as `pandas.DataFrame` takes them. For research; not a medical
device.
"""

import html
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from edge_melanoma.errors import EdgeMelanomaError, printable
from edge_melanoma.machine.terminal import TerminalReporter

StrPath = str | os.PathLike[str]
T = TypeVar("T", bound="Shown")
NO_SETS: Mapping[str, StrPath] = MappingProxyType({})


class Shown:
    """A result that notebooks show as a table."""

    def to_dict(self) -> list[dict[str, Any]]:
        """The rows of its table."""
        raise NotImplementedError

    def _repr_html_(self) -> str:
        rows = self.to_dict()
        head = "".join(f"<th>{_cell(name)}</th>" for name in (rows[0] if rows else ()))
        body = "".join(
            f"<tr>{''.join(f'<td>{_cell(value)}</td>' for value in row.values())}</tr>"
            for row in rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


class Rows(list[T], Shown, Generic[T]):
    """Several results of a kind: a list, shown as one table."""

    def to_dict(self) -> list[dict[str, Any]]:
        """A row for each."""
        return [row for one in self for row in one.to_dict()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Shown):
    """A finished training, in its folder."""

    folder: Path
    variant: str
    threshold: float

    @property
    def evaluation(self) -> dict[str, Any]:
        """What evaluation.json says: every side at the operating point and at 0.5."""
        from edge_melanoma.runs.results import read_evaluation

        return read_evaluation(self.folder)

    def to_dict(self) -> list[dict[str, Any]]:
        """A row a side and set from elsewhere, at the operating point; recall first."""
        told = self.evaluation
        measured = {**told["sides"], **told.get("external", {})}
        return [
            {"variant": self.variant, "side": side, **one["at_operating_point"]["metrics"]}
            for side, one in measured.items()
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model(Shown):
    """A .tflite file; `threshold` is none where it states none."""

    path: Path
    mode: str
    size_bytes: int
    sha256: str
    threshold: float | None

    def to_dict(self) -> list[dict[str, Any]]:
        """One row."""
        return [asdict(self)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction(Shown):
    """What a model says of one picture; `error` says why it says nothing.

    `p_malignant` is in 0..1; `decision` is none where the model states no threshold. A picture that
    the model cannot judge has the decision `not judged` and no `p_malignant`; `gate` tells why.
    With two thresholds, `upper` is the second one and `refer` the decision between them;
    `p_corrected` is the probability in the clinic that the model was commissioned for.
    """

    file: str
    p_malignant: float | None = None
    decision: str | None = None
    threshold: float | None = None
    threshold_source: str | None = None
    threshold_integer: int | None = None
    model: str | None = None
    output_integer: int | None = None
    gate: dict[str, Any] | None = None
    upper: dict[str, Any] | None = None
    p_corrected: float | None = None
    error: str | None = None

    def to_dict(self) -> list[dict[str, Any]]:
        """One row."""
        return [asdict(self)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation(Shown):
    """Figures of a model on a set; `result` is what `evaluate --json` writes."""

    result: dict[str, Any]

    def to_dict(self) -> list[dict[str, Any]]:
        """A row a metric, recall first, with its 95 % interval."""
        bounds = self.result["intervals"]
        return [
            {"metric": name, "value": value, "low": low, "high": high}
            for name, value in self.result["metrics"].items()
            for low, high in [bounds.get(name, (None, None))]
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityReport(Shown):
    """A bench; `report` is what parity.json says."""

    report: dict[str, Any]
    passed: bool

    def to_dict(self) -> list[dict[str, Any]]:
        """A row a file: its verdict, then recall first."""
        return [
            {
                "mode": one["mode"],
                "verdict": one["verdict"],
                **one["metrics"],
                **one["flips"],
                "agreement": one["agreement"],
                "size_bytes": one["size_bytes"],
            }
            for one in self.report["candidates"]
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFindings(Shown):
    """What `data check --json` says of data sets."""

    report: dict[str, Any]

    def to_dict(self) -> list[dict[str, Any]]:
        """How many there are of each kind of finding."""
        return [
            {"finding": name, "number": len(found)}
            for name, found in self.report.items()
            if isinstance(found, list) and name != "sets"
        ]


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
        external={name: Path(path) for name, path in external.items()},
        callbacks=tuple(callbacks),
        options={
            "data": _paths(data),
            "weights": weights,
            "split": split,
            "epochs": epochs,
            "batch-size": batch_size,
            "seed": seed,
            "min-recall": min_recall,
            "external": [f"{name}={path}" for name, path in external.items()],
        },
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
    """Convert a run, the newest if none is given, and audit every file.

    `settings` are fields of `edge_melanoma.converters.settings.ExportSettings`.
    """
    from edge_melanoma.converters.export import export_run
    from edge_melanoma.converters.settings import ExportSettings
    from edge_melanoma.runs.bundled import find_run_or_bundled
    from edge_melanoma.tflite.modes import parse_modes

    modes = parse_modes([quantize] if isinstance(quantize, str) else list(quantize))
    found = find_run_or_bundled(_place(run))
    exported = export_run(found, modes, settings=ExportSettings(**settings), force=force)
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

    report = run_bench(
        _place(run),
        data=_path(data),
        contract=_path(contract) or find_contract(),
        limit=limit,
        external={name: Path(path) for name, path in external.items()},
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
        external={name: Path(path) for name, path in external.items()},
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


def _one_of(kind: Any, name: str, argument: str) -> Any:
    try:
        return kind(name)
    except ValueError:
        raise EdgeMelanomaError(
            f"{argument}='{name}' is not known; expected one of {', '.join(kind)}."
        ) from None


def _cell(value: object) -> str:
    return html.escape(f"{value:.3f}" if isinstance(value, float) else printable(str(value)))
