"""All times of one model: what parity.json and the tables make of them."""

from dataclasses import replace

from edge_melanoma.benchmarks.settings import TimingSettings
from edge_melanoma.benchmarks.timing.in_turn import TurnTimes, end_to_end_ms
from edge_melanoma.benchmarks.timing.latency import LatencySamples
from edge_melanoma.benchmarks.timing.tables import (
    INVOCATION_COLUMNS,
    WHOLE_COLUMNS,
    ModelTiming,
    describe_noise,
    invocation_section,
    whole_section,
)

MS = 1_000_000
SAMPLES = LatencySamples(
    wall_ns=(4 * MS,) * 3 + (5 * MS,) * 3, cpu_ns=(4 * MS,) * 6, warmup=2, threads=1
)
TURN = TurnTimes(
    samples=SAMPLES,
    end_to_end=end_to_end_ms([(1 * MS, 2 * MS, 4 * MS, 7 * MS)]),
    predict_p50_ms=None,
    xnnpack_parts=1,
)
TWO_THREADS = replace(TURN, samples=replace(SAMPLES, threads=2))
TIMING = ModelTiming(
    turns=(TURN, TWO_THREADS),
    cold_start={
        "load_ms": 1,
        "allocate_ms": 8,
        "first_invoke_ms": 5,
        "peak_rss_mb": 61,
        "rss_before_mb": 50,
        "total_ms": 14,
    },
    settings=TimingSettings(runs=6, warmup=2, threads=(1, 2)),
)
KERAS = replace(TIMING, turns=(replace(TURN, predict_p50_ms=79.0, xnnpack_parts=None),))


def test_the_first_number_of_threads_is_the_main_one() -> None:
    told = TIMING.as_dict()
    assert (told["p50"], told["threads"], told["runs"]) == (4.5, 1, 6)
    assert [turn["threads"] for turn in told["by_threads"]] == [1, 2]
    assert told["end_to_end"]["p50"] == 7.0
    assert told["cold_start"]["total_ms"] == 14
    assert (told["xnnpack"], told["xnnpack_parts"]) == (True, 1)
    assert "predict_p50" not in told


def test_keras_tells_of_predict_and_not_of_kernels() -> None:
    told = KERAS.as_dict()
    assert told["predict_p50"] == 79.0
    assert "xnnpack" not in told


def test_a_single_stream_says_whether_it_was_long_enough() -> None:
    assert "single_stream" not in TIMING.as_dict()
    asked = TimingSettings(runs=1024, min_seconds=60)
    told = replace(TIMING, settings=asked).as_dict()["single_stream"]
    assert told == {"queries": 6, "seconds": 0.027, "p90": 5.0, "valid": False}
    long = replace(SAMPLES, wall_ns=(60 * MS,) * 1024, cpu_ns=(60 * MS,) * 1024)
    stream = replace(TIMING, settings=asked, turns=(replace(TURN, samples=long),)).as_dict()
    assert stream["single_stream"] == {
        "queries": 1024,
        "seconds": 61.44,
        "p90": 60.0,
        "valid": True,
    }


def test_invocations_have_a_row_for_each_number_of_threads() -> None:
    section = invocation_section({"keras": KERAS, "int8": TIMING})
    figures = ("4.50", "4.00 .. 5.00", "5.00", "5.00", "4.00", "4.50", "4.00", "0.0%", "6", "")
    assert section.rows == (
        ("keras", "1", "TensorFlow", *figures),
        ("int8", "1", "XNNPACK", *figures),
        ("int8", "2", "XNNPACK", *figures),
    )
    assert all(len(row) == len(INVOCATION_COLUMNS) for row in section.rows)
    assert section.note.endswith("Keras' plain predict: p50 79.0 ms.")
    assert section.key is None
    doubtful = invocation_section({"int8": TIMING}, doubts=["It was loud.", "Twice."])
    assert doubtful.note.startswith("It was loud. Twice. One picture at a time, ")


def test_kernels_are_named_as_the_graph_has_them() -> None:
    for parts, name in ((0, "built-in"), (16, "XNNPACK/16")):
        timing = replace(TIMING, turns=(replace(TURN, xnnpack_parts=parts),))
        assert invocation_section({"a": timing}).rows[0][2] == name


def test_the_way_from_file_to_score_stands_beside_the_cold_start() -> None:
    (row,) = whole_section({"int8": TIMING}).rows
    assert row == ("int8", "7.00", "7.00", "1.00", "2.00", "4.00", "1.0", "8.0", "5.0", "61", "11")
    assert len(row) == len(WHOLE_COLUMNS)


def test_noise_is_told_in_a_word_each() -> None:
    assert describe_noise(SAMPLES) == ""
    assert describe_noise(replace(SAMPLES, others_cores=99.0)) == "load"
    drifted = replace(SAMPLES, cpu_ns=(4 * MS,) * 3 + (5 * MS,) * 3, others_cores=99.0)
    assert describe_noise(drifted) == "load, passes"
