"""The model that a person names, opened: a run's network or a .tflite file, and its threshold."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from edge_melanoma.data.images import RESIZE_ID, UnreadableImageError
from edge_melanoma.data.labels import AS_FOUND, Reading
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.screening import default_fingerprint_folder
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation import evaluation, judged_pictures
from edge_melanoma.evaluation.predictions import (
    PredictionSet,
    explain_equal,
    explain_reversed,
    predict,
)
from edge_melanoma.machine.ray import RayWorkers
from edge_melanoma.machine.terminal import Reporter
from edge_melanoma.runs import converted, models
from edge_melanoma.runs.bundled import bundled_model, is_bundled
from edge_melanoma.runs.converted import ConvertedModel
from edge_melanoma.runs.manifests import read_split
from edge_melanoma.runs.models import TrainedModel
from edge_melanoma.runs.pictures import leaked_test_of
from edge_melanoma.runtime import classifiers
from edge_melanoma.runtime.interpreters import Answer
from edge_melanoma.runtime.names import Runtime
from edge_melanoma.runtime.trial import choose_runtime, try_and_answer, try_model
from edge_melanoma.tflite.ends import PLAIN, Ends, states_input_range
from edge_melanoma.tflite.inspection import inspect_model

SAVED_MODEL = "saved_model.pb"
FEW_FILES = 64
"""For as many one process is enough: it has them scored before a second one is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A model, the run that it is of where that is known, and where its threshold comes from.

    `name` is what the person called it, without folders; `stated_by` says where its threshold
    stands: manifest, embedded in the file, or option; it is none where the conventional one is
    used, which decides nothing in `predict`; `interpreter` is the one that was asked
    for; `ray` says where pictures are scored, if not here.
    """

    name: str
    model: TrainedModel | ConvertedModel
    run: TrainedModel | None
    threshold: float
    stated_by: str | None
    interpreter: Runtime | None = None
    ray: RayWorkers | None = None

    @property
    def promise(self) -> Mapping[str, Any] | None:
        """That of a file that gives three answers; none where a threshold was asked for."""
        if isinstance(self.model, TrainedModel) or self.stated_by == "option":
            return None
        return self.model.promise

    @property
    def counts(self) -> Mapping[str, Any]:
        """What the counts of an app are held against.

        Raises:
            EdgeMelanomaError: it is a run, or a file without them.
        """
        if isinstance(self.model, TrainedModel):
            raise EdgeMelanomaError(
                f"{self.name} is a run; pictures are counted for one of its files: give that."
            )
        return self.model.counts

    @property
    def place(self) -> Path:
        """The run folder or the file."""
        return self.model.folder if isinstance(self.model, TrainedModel) else self.model.path

    @property
    def facts(self) -> dict[str, Any]:
        """What a result says of the model."""
        model: dict[str, object]
        if isinstance(self.model, TrainedModel):
            model = {"file": self.model.folder.name, "mode": "keras", "runtime": "keras"}
            model |= {"variant": self.model.variant, "sha256": self.model.sha256}
        else:
            runtime = choose_runtime(self.interpreter).value
            model = {"file": self.name, "mode": self.model.mode, "runtime": runtime}
            model |= {"sha256": self.model.sha256, "size_bytes": self.model.size_bytes}
        sources = {None: "convention", "option": "--threshold"}
        source = sources.get(self.stated_by, "validation")
        return {"model": model, "threshold": self.threshold, "threshold_source": source}

    def score(
        self, judged: Sequence[tuple[LesionRecord, ...]], reporter: Reporter
    ) -> list[PredictionSet]:
        """The scores of each of several sets."""
        label = "Keras" if isinstance(self.model, TrainedModel) else self.model.mode
        with self._open() as classifier:
            return [predict(classifier, one, reporter=reporter, label=label) for one in judged]

    def answer(self, files: Sequence[Path]) -> list[Answer | UnreadableImageError]:
        """What the model says of each file, or why that is not scored; each is decoded once."""
        in_one_process = self.ray is None and len(files) <= FEW_FILES
        if in_one_process and isinstance(self.model, ConvertedModel):
            return _answer_few(self.model, files, self.interpreter)
        with self._open() as classifier:
            return list(classifier.stream_answers(files))

    def notes_on_input(self) -> Iterator[str]:
        """What is assumed of a file from elsewhere that does not tell it."""
        model = self.model
        if isinstance(model, TrainedModel) or model.manifest or model.ends.input_range:
            return
        if not states_input_range(model.data, inspect_model(model.data).input):
            yield (
                f"{self.name} does not state what its float input takes: it is given 0 for black "
                f"and 1 for white; say it with --input-range if it takes others."
            )

    def _open(self) -> AbstractContextManager[classifiers.Classifier]:
        if isinstance(self.model, TrainedModel):
            return nullcontext(classifiers.open_network(self.model, self.ray))
        runtime = choose_runtime(self.interpreter)
        try_model(self.model, runtime=runtime)
        data, name, ends = self.model.data, self.model.path.name, self.model.ends
        return classifiers.TFLiteClassifier(
            data, name=name, runtime=runtime, ray=self.ray, ends=ends, gate=self.model.gate
        )


def open_model(
    path: Path,
    *,
    threshold: float | None = None,
    interpreter: Runtime | None = None,
    ray: RayWorkers | None = None,
    ends: Ends = PLAIN,
) -> Subject:
    """A run folder; or a .tflite file, with the run around it where it lies in one's exports.

    The word `bundled` is the int8 file in the package. `threshold` is used instead of the model's
    own; `reading` is for a file from elsewhere, which does not tell how it wants to be read.

    Raises:
        EdgeMelanomaError: no such model, or one that is not opened.
    """
    name = path.name
    if is_bundled(path):
        path = bundled_model()
    _refuse_other_formats(path)
    model: TrainedModel | ConvertedModel
    run: TrainedModel | None
    chosen, stated_by = evaluation.CONVENTIONAL_THRESHOLD, None
    if path.is_dir() or path.suffix != ".tflite":
        model = run = models.open_run(path)
    else:
        model = converted.open_converted(path)
        folder = path.resolve().parent.parent
        run = models.open_run(folder) if (folder / models.MANIFEST).is_file() else None
    if ends != PLAIN:
        if isinstance(model, TrainedModel) or model.manifest:
            raise EdgeMelanomaError(
                f"{path} tells itself how it is to be read; leave out --input-range, "
                f"--malignant-index and --logit."
            )
        model = replace(model, ends=ends)
    if isinstance(model, ConvertedModel) and "threshold" in model.manifest:
        chosen = float(model.manifest["threshold"])
        stated_by = "embedded" if model.is_alone else "manifest"
    elif run is not None and run.manifest["operating_point"].get("source") != models.CONVENTION:
        chosen, stated_by = run.threshold, "manifest"
    if threshold is not None:
        chosen, stated_by = threshold, "option"
    return Subject(
        name=name,
        model=model,
        run=run,
        threshold=chosen,
        stated_by=stated_by,
        interpreter=interpreter,
        ray=ray,
    )


def _refuse_other_formats(path: Path) -> None:
    if path.is_file() and path.suffix != ".tflite":
        help_ = f"; {models.import_help(path)}" if path.suffix in models.KERAS_SUFFIXES else ""
        raise EdgeMelanomaError(
            f"{path} is neither a run folder nor a .tflite file; models of Keras, pickle and "
            f"others are not opened, as loading them can run code that is in them{help_}."
        )
    if (path / SAVED_MODEL).exists():
        raise EdgeMelanomaError(
            f"{path} is a SavedModel, which is not opened, as loading it can run code that is in "
            f"it; expected a run folder or a .tflite file."
        )


def _answer_few(
    model: ConvertedModel, files: Sequence[Path], wanted: Runtime | None
) -> list[Answer | UnreadableImageError]:
    """In one process, which shows by itself whether LiteRT runs, so that none has to try it."""
    if wanted in (None, Runtime.LITERT) and find_spec(Runtime.LITERT.value):
        try:
            return try_and_answer(model, files, runtime=Runtime.LITERT)
        except (ImportError, SystemError, AttributeError):
            pass  # It is installed and does not run: the choice says why, or finds another.
    return try_and_answer(model, files, runtime=choose_runtime(wanted))


class Evaluated(NamedTuple):
    """What `evaluate --json` writes, and the pictures and scores that its figures are of."""

    result: dict[str, Any]
    pictures: judged_pictures.JudgedPictures
    scores: PredictionSet


def evaluate_subject(
    subject: Subject,
    *,
    data: Path | None,
    external: Mapping[str, Path],
    reading: Reading = AS_FOUND,
    reporter: Reporter,
) -> Evaluated:
    """Figures on `data`, or on the run's own test side.

    `external` has data sets from elsewhere by name, each measured too.

    Raises:
        EdgeMelanomaError: neither `data` nor a run, or a set that cannot be used.
    """
    run = subject.run
    learned = judged_pictures.learned_by_run(run) if run and (data or external) else None
    read = partial(
        judged_pictures.read_external_set,
        learned=learned,
        reporter=reporter,
        cache_folder=default_fingerprint_folder(),
        ray=subject.ray,
    )
    if data is not None:
        inside = read(data, reading=reading.of(None, data.resolve().name))
    elif run is not None:
        inside = judged_pictures.read_own_side(run)
    else:
        raise EdgeMelanomaError(
            f"{subject.place} is not in a run folder; say what to score with --data DIR."
        )
    outside = [read(path, name=name, reading=reading.of(name)) for name, path in external.items()]
    leaked = leaked_test_of(read_split(run.folder)) if run and data is None else ()
    for note in subject.notes_on_input():
        reporter.say(note)
    scores, *others = subject.score([one.records for one in (inside, *outside)], reporter)
    measured = evaluation.measure_set(scores, subject.threshold, subject.promise)
    for note in (*explain_equal(scores.scores.tolist()), *explain_reversed(measured)):
        reporter.say(note)
    result = {
        "schema": 1,
        **subject.facts,
        "resize": RESIZE_ID,
        **inside.as_dict(),
        **measured,
        **evaluation.measure_without_leaked(scores, subject.threshold, leaked=leaked),
        "external": {
            found.name: found.as_dict()
            | evaluation.measure_set(of_set, subject.threshold, subject.promise)
            for found, of_set in zip(outside, others, strict=True)
        },
    }
    return Evaluated(result, inside, scores)


def score_clinic(
    subject: Subject, data: Path, *, reading: Reading, reporter: Reporter
) -> tuple[judged_pictures.JudgedPictures, PredictionSet]:
    """The pictures of a set from elsewhere that a model has not learned from, and their scores.

    Raises:
        EdgeMelanomaError: a set that cannot be used.
    """
    clinic = judged_pictures.read_external_set(
        data,
        judged_pictures.learned_by_run(subject.run) if subject.run else None,
        reading.of(None, data.resolve().name),
        reporter=reporter,
        cache_folder=default_fingerprint_folder(),
    )
    (scores,) = subject.score([clinic.records], reporter)
    return clinic, scores
