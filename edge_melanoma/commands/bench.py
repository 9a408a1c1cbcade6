"""edge-melanoma bench and report: the network against every export, and the page of a bench."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from edge_melanoma.benchmarks.settings import BenchCopies, StudySettings, TimingSettings
from edge_melanoma.commands import options
from edge_melanoma.data.sets import name_external_sets
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import write_atomically
from edge_melanoma.runtime.names import Engine

CONTRACT_NOT_MET = 1
WRITE_CONTRACT, DEFAULT_CONTRACT = "--write-contract", "parity.toml"
TIMING, STUDIES = TimingSettings(), StudySettings()


def command(
    run: options.RunArgument = None,
    data: Annotated[
        Path | None, Option(metavar="DIR", help="Another data set than the run's test side.")
    ] = None,
    labels: options.LabelTables = None,
    malignant: options.MalignantClasses = None,
    group: options.GroupBy = None,
    external: options.ExternalSets = None,
    contract: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            help="Limits as TOML; without it ./parity.toml, or the defaults if there is none.",
        ),
    ] = None,
    write_contract: Annotated[
        Path | None,
        Option(
            WRITE_CONTRACT,
            metavar="[FILE]",
            help="Draft a contract that this run keeps; without FILE, as parity.toml.",
        ),
    ] = None,
    runs: Annotated[int, Option(min=2, help="Timed invocations a model, at least.")] = TIMING.runs,
    warmup: Annotated[int, Option(min=0, help="Untimed ones before.")] = TIMING.warmup,
    threads: Annotated[
        list[str] | None,
        Option(
            metavar="N|all",
            help="For the timed ones, 1 if none is given; several: --threads 1,2,all.",
        ),
    ] = None,
    min_seconds: Annotated[
        float, Option(min=0, help="Time each model at least so long.")
    ] = TIMING.min_seconds,
    max_seconds: Annotated[
        float, Option(min=0.1, help="Stop so late, even before --runs.")
    ] = TIMING.max_seconds,
    mlperf: Annotated[
        bool,
        Option(
            "--mlperf",
            help="As MLPerf's single stream: at least 1,024 runs and 60 seconds a model.",
        ),
    ] = False,
    kernels: Annotated[
        bool,
        Option("--kernels", help="Run each file by other kernels too, and compare the outputs."),
    ] = False,
    kernel_images: Annotated[
        int, Option(min=1, metavar="N", help="Pictures for --kernels.")
    ] = STUDIES.kernel_images,
    interpreter_python: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            help="A Python with tflite-runtime 2.14, for --kernels; without it one is looked for.",
        ),
    ] = None,
    mistakes: Annotated[
        bool, Option("--mistakes", help="Price the classic preprocessing mistakes, in recall.")
    ] = False,
    stability: Annotated[
        bool,
        Option(
            "--stability",
            help="Take each picture by 20 phone pipelines (light, JPEG, colours, scale, turns, "
            "shifts) too, and count changed decisions; a contract's max_decision_changes asks "
            "for it by itself.",
        ),
    ] = False,
    adb: Annotated[
        bool, Option("--adb", help="Time the files on the phone that adb is connected with too.")
    ] = False,
    benchmark_binary: Annotated[
        Path | None,
        Option(metavar="FILE", help="TensorFlow Lite's benchmark_model for that phone, for --adb."),
    ] = None,
    interpreter: options.InterpreterOption = None,
    engine: options.EngineOption = Engine.LOCAL,
    workers: options.WorkersOption = None,
    address: options.AddressOption = None,
    limit: Annotated[
        int | None,
        Option(
            min=2,
            metavar="N",
            help="Only N pictures, spread over the set; kept in a folder of its own.",
        ),
    ] = None,
    full: Annotated[bool, Option("--full", help="Print all tables too.")] = False,
    json: options.JsonFile = None,
    html: Annotated[Path | None, Option(metavar="FILE", help="A copy of report.html.")] = None,
    junit: Annotated[
        Path | None, Option(metavar="FILE", help="JUnit XML, a test case a model and rule.")
    ] = None,
) -> None:
    """Score the same pictures with Keras and with every exported file, and time each model.

    Writes parity.json, parity.md, report.html and the scores into the run's bench folder, replacing
    those of an earlier bench of the same set. On external sets models are compared, not timed, and
    no contract holds. Exit code 1: a candidate fails, or is inconclusive and the contract says that
    this is a failure.
    """
    ray = options.choose_ray(engine, workers=workers, address=address)
    timing = options.choose_timing(
        runs=runs,
        warmup=warmup,
        threads=threads or (),
        seconds=(min_seconds, max_seconds),
        mlperf=mlperf,
    )
    reading = options.choose_reading(labels, malignant, group, folders=[data], external=external)
    sets = name_external_sets(external or (), reading)
    from edge_melanoma.benchmarks.bench import run_bench
    from edge_melanoma.benchmarks.parity.contract_file import find_contract

    found = run_bench(
        run,
        data=data,
        external=sets,
        reading=reading,
        limit=limit,
        contract=contract or find_contract(),
        draft=write_contract,
        timing=timing,
        studies=StudySettings(
            kernels=kernels,
            kernel_images=kernel_images,
            interpreter_python=interpreter_python,
            mistakes=mistakes,
            stability=stability,
            adb=adb,
            benchmark_binary=benchmark_binary,
        ),
        interpreter=interpreter,
        ray=ray,
        full=full,
        copies=BenchCopies(json=json, html=html, junit=junit),
    )
    if not found.passed:
        raise typer.Exit(CONTRACT_NOT_MET)


def report(
    run: options.RunArgument = None,
    data: Annotated[
        Path | None, Option(metavar="DIR", help="The bench of this set, not of the test side.")
    ] = None,
    out: Annotated[
        Path | None, Option(metavar="FILE", help="The page; else bench/report.html of the run.")
    ] = None,
) -> None:
    """Write one self-contained HTML page of a run's bench, from what bench left there.

    Nothing is measured again: the page is that of the stored scores and figures.
    """
    from edge_melanoma.benchmarks.bench import bench_folder_of
    from edge_melanoma.benchmarks.report.page import PAGE, render_stored
    from edge_melanoma.runs.bundled import COPY, find_run_or_bundled, is_bundled
    from edge_melanoma.runs.folders import refuse_unwritable
    from edge_melanoma.runs.recorded_files import record_bench

    if is_bundled(run) and not COPY.is_dir():
        raise EdgeMelanomaError(
            "There is no bench of the model in the package here; make one with: edge-melanoma "
            "bench bundled --data DIR"
        )
    found = find_run_or_bundled(run)
    folder = bench_folder_of(found, data)
    path = out or folder / PAGE
    refuse_unwritable(path)
    write_atomically(path, render_stored(folder))
    if out is None:
        record_bench(folder, source_sha256=found.sha256)
    typer.echo(str(path))
