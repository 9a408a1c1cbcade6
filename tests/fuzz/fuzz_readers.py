"""Fuzzes one reader, or all in turn: `python tests/fuzz/fuzz_readers.py [NAME...] [--seconds 60]`.

By atheris, from the extra fuzz, which goes where new code is reached. What it finds is written to
build/fuzz/NAME; put it into tests/fuzz/corpus/NAME, where the ordinary tests keep it, and mend it.
"""

import argparse
import subprocess
import sys
from pathlib import Path

SECONDS = 60
LONGEST_INPUT = 200_000
SLOWEST_SECONDS, LARGEST_MB = 20, 2_000
ROOT = Path(__file__).parents[2]
CORPUS, FOUND = Path(__file__).parent / "corpus", ROOT / "build" / "fuzz"
MODULES = [
    "edge_melanoma.runs.models",
    "edge_melanoma.benchmarks.parity.contract",
    "edge_melanoma.data.images",
    "edge_melanoma.data.lesions",
    "edge_melanoma.runs.models",
    "edge_melanoma.tflite.metadata",
    "edge_melanoma.tflite.verification",
    "PIL",
]
NAMES = ("picture", "labels", "contract", "manifests", "tflite")


def main() -> int:
    """Each in a process of its own; the highest exit code of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], metavar="NAME")
    parser.add_argument("--seconds", type=int, default=SECONDS)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    names = chosen.names or NAMES
    if chosen.here:
        fuzz_here(names[0], seconds=chosen.seconds)
        return 0
    codes = []
    for name in names:
        print(f"Fuzzing {name} for {chosen.seconds} s", file=sys.stderr)
        command = [sys.executable, __file__, name, "--seconds", str(chosen.seconds), "--here"]
        codes.append(subprocess.run(command, check=False).returncode)
    return max(abs(code) for code in codes)


def fuzz_here(name: str, *, seconds: int) -> None:
    """In this process, which libFuzzer ends."""
    try:
        import atheris
    except ImportError:
        sys.exit("atheris is not installed; install it with: pip install '.[fuzz]'")
    sys.path[:0] = [str(Path(__file__).parents[1])]
    with atheris.instrument_imports(include=MODULES):
        from harnesses import run_harness, seeds
    folder = FOUND / name
    folder.mkdir(parents=True, exist_ok=True)
    begin = folder / "seeds"
    begin.mkdir(exist_ok=True)
    for number, data in enumerate(seeds(name)):
        (begin / f"{number}").write_bytes(data)
    atheris.Setup(
        [
            sys.argv[0],
            str(begin),
            *([str(CORPUS / name)] if (CORPUS / name).is_dir() else []),
            f"-max_total_time={seconds}",
            f"-max_len={LONGEST_INPUT}",
            f"-timeout={SLOWEST_SECONDS}",
            f"-rss_limit_mb={LARGEST_MB}",
            f"-artifact_prefix={folder}/",
            "-print_final_stats=1",
            "-verbosity=0",
            "-seed=1",
        ],
        lambda data: run_harness(name, data),
    )
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
