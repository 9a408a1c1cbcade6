"""edge-melanoma inspect and verify: what a file is, and whether a run is as it was recorded."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from typer import Option

from edge_melanoma.commands.options import JsonFile, ModelArgument, RunArgument
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import write_result
from edge_melanoma.machine.terminal import (
    TerminalReporter,
    print_lines,
    print_table,
    results_console,
)
from edge_melanoma.tflite.delegates import DELEGATES, Target, left_to_cpu

LIMIT_NOT_KEPT = NOT_AS_RECORDED = 1


def command(
    file: ModelArgument = None,
    target: Annotated[
        Target,
        Option(help="Where it is to run; the operators that would fall back to the CPU are named."),
    ] = Target.GPU,
    contract: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            show_default="./parity.toml if it is there",
            help="A contract whose max_fallback_ops must hold.",
        ),
    ] = None,
    json: JsonFile = None,
) -> None:
    """Show what is in a .tflite file: types, scales, operators and their times, threshold, seal.

    Of a run, the int8 file. Exit code 1: more operators would fall back to the CPU than
    max_fallback_ops of the contract allows.

    Examples:
        edge-melanoma inspect bundled
        edge-melanoma inspect runs/partial-1/exports/model_int8.tflite --target npu
    """
    from edge_melanoma.benchmarks.parity.contract_file import find_contract, read_contracts
    from edge_melanoma.converters.phone.bundle import choose_int8_export
    from edge_melanoma.runs.bundled import bundled_model, is_bundled
    from edge_melanoma.runs.converted import open_converted
    from edge_melanoma.runs.folders import refuse_unwritable
    from edge_melanoma.runs.models import find_run

    refuse_unwritable(json)
    stated = contract or find_contract()
    contracts = read_contracts(stated) if stated else None
    if file is None or file.is_dir():
        model = choose_int8_export(find_run(file), None)
    else:
        model = open_converted(bundled_model() if is_bundled(file) else file)
    told = _describe(model, target)
    limit = contracts.of(model.mode).max_fallback_ops if contracts and model.manifest else None
    if not write_result(json, told):
        _show(told)
    if limit is not None and told["fallback_ops"] > limit:
        print_lines(
            results_console(width=160),
            f"fails: {told['fallback_ops']} operators left to the CPU, at most {limit} allowed",
        )
        raise typer.Exit(LIMIT_NOT_KEPT)


def verify(
    run: RunArgument = None,
    json: JsonFile = None,
) -> None:
    """Check a run's files against their recorded hashes, and name those that changed.

    Exit code 1: a file was changed, is missing, or is of other weights. Files that no manifest
    knows are listed and are no fault. Nothing vouches for a manifest itself: where it matters who
    wrote it, keep its hash.

    Examples:
        edge-melanoma verify
        edge-melanoma verify runs/partial-1 --json verified.json
    """
    from edge_melanoma.runs.bundled import bundled_run, is_bundled
    from edge_melanoma.runs.models import find_run
    from edge_melanoma.runs.recorded_files import describe_finding, verify_run

    folder = bundled_run().folder if is_bundled(run) else run or find_run(None).folder
    found = verify_run(folder)
    if not write_result(json, found):
        verdict = "as recorded" if found["as_recorded"] else "NOT as recorded"
        told = f"{run or folder}: {found['checked']} files with a recorded sha256, {verdict}."
        findings = map(describe_finding, found["findings"])
        print_lines(results_console(width=160), *findings, told)
    if not found["as_recorded"]:
        raise typer.Exit(NOT_AS_RECORDED)


def _describe(model: Any, target: Target) -> dict[str, Any]:
    """The content of `inspect --json`."""
    from edge_melanoma.tflite.inspection import inspect_model
    from edge_melanoma.tflite.metadata import read_seal

    facts, manifest = inspect_model(model.data, name=str(model.path)), model.manifest
    left = left_to_cpu(facts.operators, target)
    point = manifest.get("operating_point") or {}
    return {
        "schema": 1,
        "file": model.path.name,
        "mode": model.mode,
        "size_bytes": model.size_bytes,
        "sha256": model.sha256,
        "seal": read_seal(model.data).name.lower(),
        "input": {**facts.input.as_dict(), "shape": list(facts.input_shape)},
        "output": {**facts.output.as_dict(), "name": facts.output_name},
        "tensors": facts.tensor_types,
        "operators": facts.operators,
        "time_shares": _time_shares(model),
        "threshold": manifest.get("threshold"),
        "threshold_integer": point.get("integer"),
        "views": manifest.get("views"),
        "gate": manifest.get("gate"),
        "target": target.value,
        "delegate": DELEGATES[target].name,
        "delegate_list": DELEGATES[target].source,
        "left_to_cpu": left,
        "fallback_ops": sum(left.values()),
    }


def _time_shares(model: Any) -> dict[str, float]:
    """Those of a file that can be run here, operator by operator; else nothing, and the reason."""
    from edge_melanoma.tflite.operator_times import shares_of_time

    try:
        return shares_of_time(model.data, name=str(model.path))
    except EdgeMelanomaError as error:
        TerminalReporter().say(str(error))
        return {}


def _show(told: Mapping[str, Any]) -> None:
    table = Table("operator", "number", "share of time", "where", title=told["file"])
    for name, number in told["operators"].items():
        where = "CPU" if name in told["left_to_cpu"] else told["target"]
        share = told["time_shares"].get(name)
        table.add_row(name, str(number), "-" if share is None else f"{share:.1%}", where)
    console = results_console(width=120)
    print_table(console, table)
    print_lines(console, *_lines_of(told))


def _lines_of(told: Mapping[str, Any]) -> Iterator[str]:
    ends = (
        f"{end}: {told[end]['dtype']}, scale {told[end]['scale']:.6g}, zero point "
        f"{told[end]['zero_point']}"
        for end in ("input", "output")
    )
    yield f"{told['mode']}, {told['size_bytes']:,} bytes, sha256 {told['sha256'][:16]}"
    yield f"seal {told['seal']}; {'; '.join(ends)}"
    if told["threshold"] is None:
        yield "It states no threshold."
    else:
        integer = told["threshold_integer"]
        as_integer = "" if integer is None else f", integer {integer}"
        yield f"threshold {told['threshold']:.4f}{as_integer}"
    gate = told["gate"]
    yield (
        "It has no gate." if gate is None else f"gate: judges up to a distance of {gate['limit']:g}"
    )
    total = sum(told["operators"].values())
    if told["time_shares"]:
        yield "Share of time: of each operator alone, on one thread of this processor."
    yield (
        f"{told['delegate']} takes {total - told['fallback_ops']} of {total} operators "
        f"(by {told['delegate_list']})"
    )
