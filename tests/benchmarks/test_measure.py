"""What `bench` reads of an export's manifest, and what it says of the machine."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge_melanoma.benchmarks import measure
from edge_melanoma.benchmarks.measure import describe_doubts, describe_machine
from edge_melanoma.benchmarks.settings import TimingSettings
from edge_melanoma.benchmarks.timing.cold_start import ColdStart
from edge_melanoma.benchmarks.timing.in_turn import EndToEnd, TurnTimes
from edge_melanoma.benchmarks.timing.latency import LatencySamples
from edge_melanoma.benchmarks.timing.tables import ModelTiming
from edge_melanoma.runs.models import TrainedModel, open_converted
from edge_melanoma.tflite.quantization import ScoreTensor, TensorQuantization, score_tensor_of


def test_the_output_tensor_is_the_manifests() -> None:
    manifest = {
        "output": {"dtype": "uint8", "scale": 0.07, "zero_point": 139, "name": "logit"},
        "input": {"dtype": "uint8", "scale": 0.004, "zero_point": 0},
    }
    assert score_tensor_of(manifest) == ScoreTensor(
        name="logit",
        quantization=TensorQuantization(dtype="uint8", scale=0.07, zero_point=139),
    )


def test_without_a_manifest_the_output_tensor_is_unknown() -> None:
    assert score_tensor_of({}) is None


def test_the_manifest_of_an_export_has_what_bench_needs(exported_run: TrainedModel) -> None:
    int8, float32 = (
        score_tensor_of(
            open_converted(exported_run.exports_folder / f"model_{mode}.tflite").manifest
        )
        for mode in ("int8", "float32")
    )
    steps = TensorQuantization(dtype="int8", scale=1 / 256, zero_point=-128)
    assert int8 == ScoreTensor(name="p_malignant", quantization=steps)
    assert float32 is not None
    assert float32.quantization.is_float


def timing_of(samples: LatencySamples) -> ModelTiming:
    turn = TurnTimes(
        samples=samples,
        end_to_end=EndToEnd(
            decode_ms=np.ones(1), resize_ms=np.ones(1), invoke_ms=np.ones(1), cpu_ms=np.ones(1)
        ),
        predict_p50_ms=None,
        xnnpack_parts=1,
    )
    start = ColdStart(
        import_ms=1,
        load_ms=1,
        allocate_ms=1,
        first_invoke_ms=1,
        peak_rss_mb=1,
        rss_before_mb=1,
    )
    return ModelTiming(turns=(turn,), cold_start=start, settings=TimingSettings())


QUIET = LatencySamples(wall_ns=(10,) * 4, cpu_ns=(10,) * 4, warmup=0, threads=1, others_cores=0.0)


def machine_of(samples: LatencySamples, *, load: float = 0.0) -> dict[str, Any]:
    return describe_machine(load, {"int8": timing_of(samples)})


def test_a_quiet_machine_is_believed_whatever_its_load_was_of_this_program() -> None:
    machine = machine_of(QUIET, load=99.0)
    assert (machine["contaminated"], machine["contaminated_because"]) == (False, [])
    assert machine["repeatable"] is True
    assert machine["others_cores"] == 0.0


def test_each_ground_for_contamination_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "core_count", lambda: 2)
    waited = replace(QUIET, wall_ns=(15,) * 4)
    assert machine_of(waited)["contaminated_because"] == [
        "wall time was up to 1.5 times CPU time on one thread"
    ]
    busy = replace(QUIET, others_cores=99.0, machine_is_busy=True)
    assert machine_of(busy)["contaminated_because"] == [
        "other programs used 99.0 of 2 cores meanwhile, more than 20%"
    ]
    # Where the system does not tell of others, the load has to do.
    untold = machine_of(replace(QUIET, others_cores=None), load=2.5)
    assert untold["contaminated_because"] == ["the load before was 2.5 on 2 cores"]
    assert untold["others_cores"] is None


def test_passes_that_differ_make_the_machine_too_noisy() -> None:
    machine = machine_of(replace(QUIET, cpu_ns=(10, 10, 11, 11)))
    assert machine["repeatable"] is False
    assert machine["repeat_difference"] == pytest.approx(0.1)
    assert describe_doubts(machine) == [
        "Not repeatable: the median CPU times of two passes differ by up to 10.0%, more than 5%; "
        "this machine is too noisy."
    ]
    waited = machine_of(replace(QUIET, wall_ns=(15,) * 4))
    assert describe_doubts(waited) == [
        "Contaminated: wall time was up to 1.5 times CPU time on one thread."
    ]
    assert describe_doubts(machine_of(QUIET)) == []


def test_without_times_nothing_is_said_of_repetition() -> None:
    assert describe_machine(0.0, {})["repeatable"] is None
