"""The exported files timed on a phone: pushed by adb, run by the official benchmark program."""

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from edge_melanoma.benchmarks.studies.phone_output import PhoneTimes, parse_benchmark_output
from edge_melanoma.benchmarks.timing.round_robin import TimingSettings
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.child_process import last_line
from edge_melanoma.runs.artifacts import ConvertedModel

REMOTE = PurePosixPath("/data/local/tmp/edge-melanoma")
"""The one place of a phone where a program that was pushed may run."""
PROGRAM = REMOTE / "benchmark_model"
LIMIT_SECONDS = 1800
ELF = b"\x7fELF"
BINARY_HELP = (
    "expected the program benchmark_model of TensorFlow Lite for Android (the native binary, not "
    "the APK)"
)
PROPERTIES = {
    "model": "ro.product.model",
    "android": "ro.build.version.release",
    "abi": "ro.product.cpu.abi",
    "soc": "ro.soc.model",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneReport:
    """A phone, and the times of each mode on each number of threads."""

    device: dict[str, str]
    times: tuple[tuple[str, PhoneTimes], ...]

    @property
    def name(self) -> str:
        """As its maker calls it."""
        return self.device["model"] or self.device["serial"]

    def as_dict(self) -> dict[str, Any]:
        """For parity.json."""
        models = [{"mode": mode, **times.as_dict()} for mode, times in self.times]
        return {"device": self.device, "models": models}


@dataclass(frozen=True, slots=True, kw_only=True)
class Phone:
    """The one phone that adb is connected with."""

    adb: str
    serial: str

    def run(self, *words: str) -> str:
        """What an adb command printed.

        Raises:
            EdgeMelanomaError: it failed, or took more than half an hour.
        """
        return _adb(self.adb, "-s", self.serial, *words)


def open_phone(binary: Path | None) -> Phone:
    """The phone, once the program and adb are there too; all is checked before any long work.

    Raises:
        EdgeMelanomaError: no program, no adb, no phone, several, or one that does not answer.
    """
    if binary is None:
        raise EdgeMelanomaError(f"bench --adb needs --benchmark-binary FILE; {BINARY_HELP}.")
    if not binary.is_file():
        raise EdgeMelanomaError(f"There is no --benchmark-binary {binary}; {BINARY_HELP}.")
    with binary.open("rb") as stream:
        if stream.read(len(ELF)) != ELF:
            raise EdgeMelanomaError(
                f"--benchmark-binary {binary} is no Linux program; {BINARY_HELP}."
            )
    adb = shutil.which("adb")
    if adb is None:
        raise EdgeMelanomaError(
            "bench --adb needs the program adb, which is not on PATH; install the Android SDK "
            "platform-tools."
        )
    return Phone(adb=adb, serial=_choose_device(adb))


def time_on_phone(
    phone: Phone,
    binary: Path,
    models: Sequence[ConvertedModel],
    *,
    settings: TimingSettings,
    say: Callable[[str], None],
) -> PhoneReport:
    """Push, run each model on each number of threads, parse, and leave nothing on the phone."""
    device = {name: phone.run("shell", "getprop", key).strip() for name, key in PROPERTIES.items()}
    device["serial"] = phone.serial
    times = []
    try:
        phone.run("shell", "mkdir", "-p", str(REMOTE))
        phone.run("push", str(binary), str(PROGRAM))
        phone.run("shell", "chmod", "755", str(PROGRAM))
        for model in models:
            remote = REMOTE / model.path.name
            phone.run("push", str(model.path), str(remote))
            for threads in settings.threads:
                say(f"Timing {model.mode} on {device['model']}, {threads} thread(s)")
                text = phone.run("shell", *_command(remote, settings, threads), "2>&1")
                times.append((model.mode, parse_benchmark_output(text, threads=threads)))
    finally:
        # Of a phone that is gone, the first error tells.
        with suppress(EdgeMelanomaError):
            phone.run("shell", "rm", "-rf", str(REMOTE))
    return PhoneReport(device=device, times=tuple(times))


def _command(remote: PurePosixPath, settings: TimingSettings, threads: int) -> list[str]:
    command = [
        str(PROGRAM),
        f"--graph={remote}",
        f"--num_threads={threads}",
        f"--num_runs={settings.runs}",
        f"--warmup_runs={settings.warmup}",
    ]
    if settings.min_seconds:
        command.append(f"--min_secs={settings.min_seconds:g}")
    if settings.max_seconds != float("inf"):
        command.append(f"--max_secs={settings.max_seconds:g}")
    return command


def _choose_device(adb: str) -> str:
    lines = _adb(adb, "devices").splitlines()
    states = dict(line.split()[:2] for line in lines if "\t" in line)
    wanted = os.environ.get("ANDROID_SERIAL")
    if wanted is None and len(states) > 1:
        raise EdgeMelanomaError(
            f"adb sees {len(states)} devices ({', '.join(states)}); choose one with the "
            f"environment variable ANDROID_SERIAL."
        )
    serial = wanted or next(iter(states), None)
    if serial is None or serial not in states:
        raise EdgeMelanomaError(
            f"adb sees no device{f' {wanted}' if wanted else ''}; connect a phone with USB "
            f"debugging allowed, or start an emulator, and look at: adb devices"
        )
    if states[serial] != "device":
        raise EdgeMelanomaError(
            f"The device {serial} is {states[serial]}; unlock it, allow this computer's USB "
            f"debugging, and look at: adb devices"
        )
    return serial


def _adb(adb: str, *words: str) -> str:
    try:
        result = subprocess.run(
            [adb, *words],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=LIMIT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise EdgeMelanomaError(
            f"adb {words[0]} took more than {LIMIT_SECONDS} s; time fewer runs with --runs."
        ) from error
    if result.returncode != 0:
        reason = last_line(result.stderr + "\n" + result.stdout)
        reason = reason.rstrip(".") or f"it ended with {result.returncode}"
        raise EdgeMelanomaError(f"adb {' '.join(words[2:5])} failed: {reason}.")
    return result.stdout.replace("\r", "")
