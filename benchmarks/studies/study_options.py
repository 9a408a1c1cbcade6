"""What else `bench` can look into: kernels, preprocessing mistakes, a phone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

Kernels = Annotated[
    bool,
    typer.Option("--kernels", help="Run each file by other kernels too, and compare the outputs."),
]
KernelImages = Annotated[
    int, typer.Option("--kernel-images", min=1, metavar="N", help="Pictures for --kernels.")
]
InterpreterPython = Annotated[
    Path | None,
    typer.Option(
        "--interpreter-python",
        metavar="FILE",
        help="A Python with tflite-runtime 2.14, for --kernels; without it one is looked for.",
    ),
]
Mistakes = Annotated[
    bool,
    typer.Option("--mistakes", help="Price the classic preprocessing mistakes, in recall."),
]
Adb = Annotated[
    bool, typer.Option("--adb", help="Time the files on the phone that adb is connected with too.")
]
BenchmarkBinary = Annotated[
    Path | None,
    typer.Option(
        "--benchmark-binary",
        metavar="FILE",
        help="TensorFlow Lite's benchmark_model for that phone, for --adb.",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyOrder:
    """What a person asked for beyond the bench itself."""

    kernels: bool = False
    kernel_images: int = 100
    interpreter_python: Path | None = None
    mistakes: bool = False
    adb: bool = False
    benchmark_binary: Path | None = None
