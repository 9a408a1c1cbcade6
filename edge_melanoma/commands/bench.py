"""edge-melanoma bench and report: the network against every export, and the page of a bench."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from edge_melanoma.benchmarks.settings import BenchCopies, StudySettings, TimingSettings
from edge_melanoma.commands import options
from edge_melanoma.data.sets import name_external_sets
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.command_line import OUTPUT, stated_options
from edge_melanoma.machine.files import write_atomically
from edge_melanoma.runtime.names import Engine

CONTRACT_NOT_MET = 1
TIMES, STUDY = "Timing", "Studies"
"""Panels of the help."""
WRITE_CONTRACT, DEFAULT_CONTRACT = "--write-contract", "parity.toml"
TIMING, STUDIES = TimingSettings(), StudySettings()


def command(
    context: typer.Context,
    run: options.RunArgument = None,
    data: Annotated[
        Path | None,
        Option(
            metavar="DIR",
            rich_help_panel=options.DATA,
            show_default="the run's test side",
            help="Another data set to measure on.",
        ),
    ] = None,
    labels: options.LabelTables = None,
    malignant: options.MalignantClasses = None,
    group: options.GroupBy = None,
    external: options.ExternalSets = None,
    contract: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            show_default="./parity.toml, or built-in limits if there is none",
            help="Limits as TOML that each exported file must keep.",
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
    runs: Annotated[
        int, Option(min=2, rich_help_panel=TIMES, help="Timed calls of each model, at least.")
    ] = TIMING.runs,
    warmup: Annotated[
        int, Option(min=0, rich_help_panel=TIMES, help="Untimed calls before these.")
    ] = TIMING.warmup,
    threads: Annotated[
        list[str] | None,
        Option(
            metavar="N|all",
            rich_help_panel=TIMES,
            show_default="1",
            help="Threads of the timed calls; several: --threads 1,2,all.",
        ),
    ] = None,
    min_seconds: Annotated[
        float, Option(min=0, rich_help_panel=TIMES, help="Time each model for at least this long.")
    ] = TIMING.min_seconds,
    max_seconds: Annotated[
        float,
        Option(
            min=0.1,
            rich_help_panel=TIMES,
            help="Stop timing a model after this long, even before --runs are done.",
        ),
    ] = TIMING.max_seconds,
    mlperf: Annotated[
        bool,
        Option(
            "--mlperf",
            rich_help_panel=TIMES,
            help="As MLPerf's single stream: at least 1,024 runs and 60 seconds a model.",
        ),
    ] = False,
    kernels: Annotated[
        bool,
        Option(
            "--kernels",
            rich_help_panel=STUDY,
            help="Run each file by other kernels too, and compare the outputs.",
        ),
    ] = False,
    kernel_images: Annotated[
        int, Option(min=1, metavar="N", rich_help_panel=STUDY, help="Pictures for --kernels.")
    ] = STUDIES.kernel_images,
    interpreter_python: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            rich_help_panel=STUDY,
            show_default="one that is found on this machine",
            help="A Python with tflite-runtime 2.14, for --kernels.",
        ),
    ] = None,
    mistakes: Annotated[
        bool,
        Option(
            "--mistakes",
            rich_help_panel=STUDY,
            help="Measure what the classic mistakes of preprocessing cost in recall.",
        ),
    ] = False,
    stability: Annotated[
        bool,
        Option(
            "--stability",
            rich_help_panel=STUDY,
            help="Change 400 pictures in 20 ways that phones do (light, JPEG, colours, scale, "
            "turns, shifts) and count the decisions that change. A contract with "
            "max_decision_changes implies it.",
        ),
    ] = False,
    adb: Annotated[
        bool,
        Option("--adb", rich_help_panel=STUDY, help="Time the files on the phone behind adb too."),
    ] = False,
    benchmark_binary: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            rich_help_panel=STUDY,
            help="TensorFlow Lite's benchmark_model for that phone, for --adb.",
        ),
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
            rich_help_panel=options.DATA,
            show_default="all",
            help="Only N pictures, spread over the set; kept in a folder of its own.",
        ),
    ] = None,
    full: Annotated[
        bool,
        Option("--full", rich_help_panel=OUTPUT, help="Print all tables too."),
    ] = False,
    json: options.JsonFile = None,
    html: Annotated[
        Path | None,
        Option(metavar="FILE", rich_help_panel=OUTPUT, help="Write a copy of report.html there."),
    ] = None,
    junit: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            rich_help_panel=OUTPUT,
            help="Write JUnit XML, a test case for each model and rule.",
        ),
    ] = None,
) -> None:
    """Compare every exported file with the network, picture by picture, and time each.

    Writes parity.json, parity.md, report.html and the scores into the run's bench folder, in place
    of an earlier bench of the same set. On external sets models are compared but not timed, and no
    contract applies. Exit code 1: a file fails, or is inconclusive and the contract counts that as
    a failure.

    Examples:
        edge-melanoma bench
        edge-melanoma bench runs/partial-1 --contract parity.toml --junit parity.xml
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
        options=stated_options(context),
    )
    if not found.passed:
        raise typer.Exit(CONTRACT_NOT_MET)


def report(
    run: options.RunArgument = None,
    data: Annotated[
        Path | None,
        Option(
            metavar="DIR",
            show_default="the run's test side",
            help="The data set whose bench is shown.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        Option(metavar="FILE", show_default="RUN/bench/report.html", help="Where it is written."),
    ] = None,
) -> None:
    """Write a run's bench anew as one self-contained HTML page.

    Nothing is measured again: the page is that of the stored scores and figures.

    Examples:
        edge-melanoma report
        edge-melanoma report runs/partial-1 --out report.html
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
