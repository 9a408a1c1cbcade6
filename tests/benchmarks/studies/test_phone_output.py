"""Real outputs of the official benchmark program, as two of its versions print them."""

import re
from dataclasses import asdict

import pytest

from edge_melanoma.benchmarks.studies.phone import parse_benchmark_output
from edge_melanoma.errors import EdgeMelanomaError

# Of benchmark_model 2.20 on a Cortex-A53 board (TI AM62x), as its maker's manual shows it.
WITH_PERCENTILES = """\
INFO: STARTING!
INFO: Log parameter values verbosely: [0]
INFO: Graph: [/usr/share/oob-demo-assets/models/ssd_mobilenet_v2_coco.tflite]
INFO: Signature to run: []
INFO: Use xnnpack: [1]
INFO: Loaded model /usr/share/oob-demo-assets/models/ssd_mobilenet_v2_coco.tflite
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
INFO: XNNPACK delegate created.
INFO: Explicitly applied XNNPACK delegate, and the model graph will be partially executed by the \
delegate w/ 1 delegate kernels.
INFO: The input model file size (MB): 67.3128
INFO: Initialized session in 614.333ms.
INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if \
exceeding 150 seconds.
INFO: count=1 curr=905463 p5=905463 median=905463 p95=905463
INFO: Running benchmark for at least 50 iterations and at least 1 seconds but terminate if \
exceeding 150 seconds.
INFO: count=50 first=900416 curr=898333 min=898007 max=906121 avg=899641 std=1549 p5=898333 \
median=899281 p95=904305
INFO: Inference timings in us: Init: 614333, First inference: 905463, Warmup (avg): 905463, \
Inference (avg): 899641
INFO: Note: as the benchmark tool itself affects memory footprint, the following is only \
APPROXIMATE to the actual memory footprint of the model at runtime. Take the information at your \
discretion.
INFO: Memory footprint delta from the start of the tool (MB): init=146.363 overall=150.141
"""
# Of benchmark_model 2.4 on a Xiaomi Mi 11, as a benchmark of YOLOv5 publishes it.
WITHOUT_PERCENTILES = """\
count=50 first=249042 curr=250889 min=247067 max=254474 avg=249684 std=1442
Inference timings in us: Init: 16242, First inference: 360262, Warmup (avg): 304586, \
Inference (avg): 249684
Peak memory footprint (MB): init=4.92969 overall=138.809
"""


def test_a_new_program_tells_percentiles_and_its_kernels() -> None:
    times = parse_benchmark_output(WITH_PERCENTILES, threads=4)
    assert asdict(times) == {
        "threads": 4,
        "runs": 50,
        "init": 614.333,
        "first": 905.463,
        "mean": 899.641,
        "min": 898.007,
        "max": 906.121,
        "std": 1.549,
        "p5": 898.333,
        "p50": 899.281,
        "p95": 904.305,
        "memory_mb": 150.141,
        "xnnpack": True,
    }


def test_an_old_program_tells_neither() -> None:
    times = parse_benchmark_output(WITHOUT_PERCENTILES, threads=1)
    assert (times.mean, times.min, times.max) == (249.684, 247.067, 254.474)
    assert (times.p5, times.p50, times.p95, times.xnnpack) == (None, None, None, None)
    assert times.memory_mb == 138.809


def test_the_timed_runs_are_those_after_a_warm_up_of_several() -> None:
    warm = "count=6 first=140706 curr=74599 min=74599 max=140706 avg=85791.2 std=24559\n"
    times = parse_benchmark_output(warm + WITHOUT_PERCENTILES, threads=1)
    assert (times.runs, times.mean) == (50, 249.684)


def test_numbers_with_an_exponent_are_read() -> None:
    text = WITHOUT_PERCENTILES.replace("avg=249684", "avg=2.95034e+06")
    assert parse_benchmark_output(text, threads=1).mean == 2950.34


def test_a_delegate_that_takes_nothing_leaves_built_in_kernels() -> None:
    text = WITH_PERCENTILES.replace(
        "Explicitly applied XNNPACK delegate, and the model graph will be partially executed by "
        "the delegate w/ 1 delegate kernels.",
        "Though XNNPACK delegate is explicitly applied, the model graph will not be executed by "
        "the delegate.",
    )
    assert parse_benchmark_output(text, threads=1).xnnpack is False


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ", and said nothing"),
        (
            "STARTING!\nERROR: Failed to load model a.tflite.\n",
            ": ERROR: Failed to load model a.tflite",
        ),
        (WITHOUT_PERCENTILES.splitlines()[0] + "\nAborted\n", ": Aborted"),
    ],
)
def test_an_output_without_times_is_one_sentence(text: str, told: str) -> None:
    message = (
        f"The benchmark program ended without times{told}; expected the official TFLite "
        f"benchmark_model, built for the phone's processor."
    )
    with pytest.raises(EdgeMelanomaError, match=f"^{re.escape(message)}$"):
        parse_benchmark_output(text, threads=1)
