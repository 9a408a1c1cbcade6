"""One model measured: its scores on all cores, then the time of one picture at a time."""

import os
from dataclasses import dataclass
from typing import Any

from edge_melanoma.artifacts import ConvertedModel, TrainedModel
from edge_melanoma.benchmarks.latency import LatencySamples, time_keras, time_tflite
from edge_melanoma.benchmarks.parity import MeasuredCandidate, MeasuredModel
from edge_melanoma.classifiers import KerasClassifier, TFLiteClassifier
from edge_melanoma.environment import cpu_name, package_version
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.images import read_image
from edge_melanoma.interpreters import SessionSettings
from edge_melanoma.lesions import LesionRecord
from edge_melanoma.metrics import measure, measure_intervals
from edge_melanoma.predictions import PredictionSet, predict, read_predictions
from edge_melanoma.progress import Reporter
from edge_melanoma.runtimes import Runtime

CONTAMINATED_RATIO = 1.2
"""On one thread, wall time this far above CPU time means that others had the core."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingSettings:
    """How often one picture is run, and on how many threads."""

    runs: int = 100
    warmup: int = 10
    threads: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Runs one model after another over the same pictures.

    `is_test_side` tells whether these are the pictures whose scores the training stored.
    """

    run: TrainedModel
    runtime: Runtime
    records: tuple[LesionRecord, ...]
    is_test_side: bool
    timing: TimingSettings
    reporter: Reporter

    def reference(self) -> tuple[MeasuredModel, PredictionSet]:
        """Keras where TensorFlow is installed, else the scores that the training stored."""
        latency: LatencySamples | None = None
        if package_version("tensorflow") is None:
            scores = self._stored_scores()
        else:
            from edge_melanoma.network import load_network

            classifier = KerasClassifier(load_network(self.run))
            scores = predict(classifier, self.records, reporter=self.reporter, label="Keras")
            latency = time_keras(
                self.run.folder,
                read_image(self.records[0].path),
                runs=self.timing.runs,
                warmup=self.timing.warmup,
                threads=self.timing.threads,
            )
        size = self.run.weights_path.stat().st_size
        return self._measured("keras", "keras", size, self.run.sha256, scores, latency), scores

    def export(self, model: ConvertedModel) -> tuple[MeasuredModel, PredictionSet]:
        """One exported file: scores on all cores, then latency on the asked number of threads."""
        name = model.path.name
        with TFLiteClassifier(model.data, name=name, runtime=self.runtime) as classifier:
            scores = predict(classifier, self.records, reporter=self.reporter, label=model.mode)
        latency = time_tflite(
            SessionSettings(
                data=model.data, name=name, runtime=self.runtime, threads=self.timing.threads
            ),
            read_image(self.records[0].path),
            runs=self.timing.runs,
            warmup=self.timing.warmup,
        )
        runtime = self.runtime.value
        measured = self._measured(
            runtime, model.mode, model.size_bytes, model.sha256, scores, latency
        )
        return measured, scores

    def _measured(
        self,
        runtime: str,
        mode: str,
        size_bytes: int,
        sha256: str,
        scores: PredictionSet,
        latency: LatencySamples | None,
    ) -> MeasuredModel:
        return MeasuredModel(
            runtime=runtime,
            mode=mode,
            size_bytes=size_bytes,
            sha256=sha256,
            metrics=measure(scores, threshold=self.run.threshold),
            intervals=measure_intervals(scores, threshold=self.run.threshold),
            latency=latency,
        )

    def _stored_scores(self) -> PredictionSet:
        if not self.is_test_side:
            raise EdgeMelanomaError(
                "bench --data needs the package tensorflow for the reference, which is not "
                "installed; install it with: pip install 'edge-melanoma[train]'"
            )
        self.reporter.say("TensorFlow is not installed: the reference is as the training stored it")
        stored = read_predictions(self.run.folder / "predictions_test.csv")
        position = {image_id: number for number, image_id in enumerate(stored.image_ids)}
        chosen = [position[record.image_id] for record in self.records]
        return PredictionSet(
            image_ids=tuple(record.image_id for record in self.records),
            labels=stored.labels[chosen],
            scores=stored.scores[chosen],
        )


def describe_machine(load: float, candidates: tuple[MeasuredCandidate, ...]) -> dict[str, Any]:
    """Processor, cores, the load before, and whether others had the processor meanwhile."""
    latencies = [candidate.model.latency for candidate in candidates if candidate.model.latency]
    waited = any(
        samples.percentile_ms(50) > CONTAMINATED_RATIO * samples.cpu_p50_ms
        for samples in latencies
        if samples.threads == 1
    )
    cores = os.cpu_count() or 1
    return {
        "cpu": cpu_name(),
        "cores": cores,
        "load": load,
        "contaminated": waited or load > cores,
    }
