"""What `bench --external` does: the network and every file on data sets from elsewhere."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from edge_melanoma.benchmarks.parity.outside import OutsideParity, compare_outside
from edge_melanoma.errors import MissingExtraError
from edge_melanoma.evaluation.external_sets import ExternalSet
from edge_melanoma.evaluation.predictions import (
    Classifier,
    PredictionSet,
    predict,
    predictions_to_csv,
)
from edge_melanoma.machine.atomic_writing import write_atomically
from edge_melanoma.machine.environment import package_version
from edge_melanoma.machine.progress import Reporter
from edge_melanoma.runs.artifacts import ConvertedModel, TrainedModel
from edge_melanoma.runtime.classifiers import KerasClassifier, TFLiteClassifier
from edge_melanoma.runtime.runtimes import Runtime


def refuse_missing_reference(external: Mapping[str, Path]) -> None:
    """The reference of a set from elsewhere is scored with Keras, which is not in the light core.

    Raises:
        MissingExtraError: there are such sets, and no TensorFlow.
    """
    if external and package_version("tensorflow") is None:
        raise MissingExtraError.for_package(
            "tensorflow", extra="train", purpose="bench --external, for the reference,"
        )


def measure_outside(
    run: TrainedModel,
    exports: Sequence[ConvertedModel],
    external: Sequence[ExternalSet],
    *,
    runtime: Runtime,
    reporter: Reporter,
) -> tuple[OutsideParity, ...]:
    """Score each set with each model, keep the scores in the bench folder, and compare."""
    if not external:
        return ()
    from edge_melanoma.network.network import load_network

    network = KerasClassifier(load_network(run))
    scores = {"keras": _score(network, external, reporter, label="keras")}
    for model in exports:
        with TFLiteClassifier(model.data, name=model.path.name, runtime=runtime) as tflite:
            scores[model.mode] = _score(tflite, external, reporter, label=model.mode)
    points = {model.mode: model.manifest.get("operating_point") for model in exports}
    own = {mode: float(point["threshold"]) for mode, point in points.items() if point}
    return tuple(_compare(run, found, scores, own) for found in external)


def _score(
    classifier: Classifier, external: Sequence[ExternalSet], reporter: Reporter, *, label: str
) -> dict[str, PredictionSet]:
    return {
        found.name: predict(
            classifier, found.records, reporter=reporter, label=f"{label} on {found.name}"
        )
        for found in external
    }


def _compare(
    run: TrainedModel,
    found: ExternalSet,
    scores: Mapping[str, Mapping[str, PredictionSet]],
    own_thresholds: Mapping[str, float],
) -> OutsideParity:
    of_set = {mode: by_set[found.name] for mode, by_set in scores.items()}
    for mode, predictions in of_set.items():
        path = run.folder / "bench" / "external" / found.name / f"predictions_{mode}.csv"
        write_atomically(path, predictions_to_csv(predictions))
    reference = of_set.pop("keras")
    return compare_outside(
        found, reference, of_set, threshold=run.threshold, own_thresholds=own_thresholds
    )
