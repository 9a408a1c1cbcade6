"""Times on a phone through a stand-in for adb: what it is asked, and every way that it fails."""

import json
import re
from dataclasses import asdict
from pathlib import Path

import pytest
from stand_in_adb import write_adb
from tflite_files import mean_model

from edge_melanoma.benchmarks.settings import TimingSettings
from edge_melanoma.benchmarks.studies.phone import (
    COLUMNS,
    open_phone,
    parse_benchmark_output,
    phone_section,
    time_on_phone,
)
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.terminal import SilentReporter
from edge_melanoma.runs.converted import ConvertedModel

TIMES = """\
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\r
INFO: count=50 first=9004 curr=8983 min=8980 max=9061 avg=8996 std=15 p5=8983 median=8992 p95=9043\r
INFO: Inference timings in us: Init: 6143, First inference: 9054, Warmup (avg): 9054, \
Inference (avg): 8996\r
INFO: Memory footprint delta from the start of the tool (MB): init=14.5 overall=15.25\r
"""
PLACE = "/data/local/tmp/edge-melanoma"
ONE_PHONE = "List of devices attached\nR5CT\tdevice\n\n"
ANSWERS: dict[str, tuple[int, str]] = {
    "devices": (0, ONE_PHONE),
    "getprop ro.product.model": (0, "Pixel 8\r\n"),
    "getprop ro.build.version.release": (0, "15\n"),
    "getprop ro.product.cpu.abi": (0, "arm64-v8a\n"),
    "--graph": (0, TIMES),
}
HELP = (
    "expected the program benchmark_model of TensorFlow Lite for Android (the native binary, not "
    "the APK)"
)


@pytest.fixture
def binary(tmp_path: Path) -> Path:
    path = tmp_path / "benchmark_model"
    path.write_bytes(b"\x7fELF and so on")
    return path


@pytest.fixture
def adb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a stand-in that answers as one phone does."""
    folder = write_adb(tmp_path / "platform-tools").parent
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("ANDROID_SERIAL", raising=False)
    answer(folder, ANSWERS)
    return folder


@pytest.fixture
def model(tmp_path: Path) -> ConvertedModel:
    path = tmp_path / "model_int8.tflite"
    data = mean_model(tensor="", signature="p_malignant")
    path.write_bytes(data)
    return ConvertedModel(path=path, mode="int8", data=data, sha256="", manifest={})


def answer(folder: Path, answers: dict[str, tuple[int, str]]) -> None:
    (folder / "answers.json").write_text(json.dumps(answers), encoding="utf-8")


def asked(folder: Path) -> list[list[str]]:
    lines = (folder / "asked.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_each_file_is_pushed_run_on_each_number_of_threads_and_removed(
    adb: Path, binary: Path, model: ConvertedModel
) -> None:
    settings = TimingSettings(runs=100, warmup=10, threads=(1, 4))
    report = time_on_phone(open_phone(binary), [model], settings=settings, say=SilentReporter().say)
    run = [f"{PLACE}/benchmark_model", f"--graph={PLACE}/model_int8.tflite"]
    counts = ["--num_runs=100", "--warmup_runs=10", "--max_secs=30", "2>&1"]
    phone = ["-s", "R5CT"]
    assert [words for words in asked(adb) if "getprop" not in words] == [
        ["devices"],
        [*phone, "shell", "mkdir", "-p", PLACE],
        [*phone, "push", str(binary), f"{PLACE}/benchmark_model"],
        [*phone, "shell", "chmod", "755", f"{PLACE}/benchmark_model"],
        [*phone, "push", str(model.path), f"{PLACE}/model_int8.tflite"],
        [*phone, "shell", *run, "--num_threads=1", *counts],
        [*phone, "shell", *run, "--num_threads=4", *counts],
        [*phone, "shell", "rm", "-rf", PLACE],
    ]
    told = report.as_dict()
    assert told["device"] == {
        "model": "Pixel 8",
        "android": "15",
        "abi": "arm64-v8a",
        "soc": "",
        "serial": "R5CT",
    }
    assert [(row["mode"], row["threads"], row["p50"]) for row in told["models"]] == [
        ("int8", 1, 8.992),
        ("int8", 4, 8.992),
    ]


def test_a_phone_stands_in_a_table_of_its_own(
    adb: Path, binary: Path, model: ConvertedModel
) -> None:
    report = time_on_phone(
        open_phone(binary), [model], settings=TimingSettings(), say=SilentReporter().say
    )
    section = phone_section(report)
    assert section.title == "On a phone: Pixel 8, Android 15, arm64-v8a"
    figures = ("8.99", "8.98", "9.04", "8.98", "9.00", "9.06", "9.05", "6.14", "15.2", "50")
    assert section.rows == (("int8", "1", "XNNPACK", *figures),)
    assert len(section.rows[0]) == len(COLUMNS)
    assert section.key == "phone"


def test_a_program_that_fails_leaves_nothing_on_the_phone(
    adb: Path, binary: Path, model: ConvertedModel
) -> None:
    answer(adb, ANSWERS | {"--graph": (1, "CANNOT LINK EXECUTABLE: wrong ABI.\n")})
    phone = open_phone(binary)
    with pytest.raises(EdgeMelanomaError) as caught:
        time_on_phone(phone, [model], settings=TimingSettings(), say=SilentReporter().say)
    assert str(caught.value) == (
        f"adb shell {PLACE}/benchmark_model --graph={PLACE}/model_int8.tflite failed: "
        f"CANNOT LINK EXECUTABLE: wrong ABI."
    )
    assert asked(adb)[-1][2:] == ["shell", "rm", "-rf", PLACE]


@pytest.mark.parametrize(
    ("devices", "message"),
    [
        (
            "List of devices attached\n\n",
            "adb sees no device; connect a phone with USB debugging allowed, or start an "
            "emulator, and look at: adb devices",
        ),
        (
            "* daemon started successfully\nList of devices attached\nR5CT\tunauthorized\n",
            "The device R5CT is unauthorized; unlock it, allow this computer's USB debugging, and "
            "look at: adb devices",
        ),
        (
            "List of devices attached\nR5CT\tdevice\nemulator-5554\tdevice\n",
            "adb sees 2 devices (R5CT, emulator-5554); choose one with the environment variable "
            "ANDROID_SERIAL.",
        ),
    ],
)
def test_no_device_or_several_is_one_sentence(
    devices: str, message: str, adb: Path, binary: Path
) -> None:
    answer(adb, {"devices": (0, devices)})
    with pytest.raises(EdgeMelanomaError, match=f"^{re.escape(message)}$"):
        open_phone(binary)


def test_the_environment_chooses_among_several(
    adb: Path, binary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(adb, {"devices": (0, ONE_PHONE + "emulator-5554\tdevice\n")})
    monkeypatch.setenv("ANDROID_SERIAL", "emulator-5554")
    assert open_phone(binary).serial == "emulator-5554"
    monkeypatch.setenv("ANDROID_SERIAL", "other")
    with pytest.raises(EdgeMelanomaError, match=r"^adb sees no device other; "):
        open_phone(binary)


def test_without_adb_it_is_said_where_it_comes_from(
    binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    message = (
        "bench --adb needs the program adb, which is not on PATH; install the Android SDK "
        "platform-tools."
    )
    with pytest.raises(EdgeMelanomaError, match=f"^{re.escape(message)}$"):
        open_phone(binary)


def test_another_file_than_a_linux_program_is_refused(tmp_path: Path) -> None:
    apk = tmp_path / "benchmark.apk"
    for path, message in (
        (None, f"bench --adb needs --benchmark-binary FILE; {HELP}."),
        (apk, f"There is no --benchmark-binary {apk}; {HELP}."),
    ):
        with pytest.raises(EdgeMelanomaError, match=f"^{re.escape(message)}$"):
            open_phone(path)
    apk.write_bytes(b"PK\x03\x04")
    message = f"--benchmark-binary {apk} is no Linux program; {HELP}."
    with pytest.raises(EdgeMelanomaError, match=f"^{re.escape(message)}$"):
        open_phone(apk)


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
