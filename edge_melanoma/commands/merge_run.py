"""What `merge` does: reads the parts, and ends as the command that made them would have ended."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edge_melanoma.benchmarks import bench_part
from edge_melanoma.benchmarks.bench import ParityOrder, run_parity
from edge_melanoma.benchmarks.parity.contract import find_contract
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation import evaluation_part
from edge_melanoma.evaluation.score_parts import ScorePart, merge_parts
from edge_melanoma.evaluation.tables import show_evaluation
from edge_melanoma.machine.files import write_json
from edge_melanoma.runs.folders import refuse_unwritable


def merge_files(paths: Sequence[Path], order: ParityOrder) -> bool:
    """Merge and tell; whether a contract, where there is one, is kept.

    Raises:
        EdgeMelanomaError: parts that do not make a whole, or options that are not for these.
    """
    refuse_unwritable(order.copies.json)
    merged = merge_parts(paths)
    if not merged.records:
        raise EdgeMelanomaError("The parts hold no images; nothing can be measured on them.")
    if merged.common.get("command") == bench_part.COMMAND:
        asked = replace(order, contract=order.contract or find_contract(), parts=merged)
        return run_parity(asked).passed
    _refuse_options_of_bench(order)
    _conclude_evaluation(merged, order.copies.json)
    return True


def _conclude_evaluation(merged: ScorePart, json: Path | None) -> None:
    result = evaluation_part.conclude_parts(merged)
    if json is not None:
        write_json(json, result)
    show_evaluation(result)


def _refuse_options_of_bench(order: ParityOrder) -> None:
    given = {
        "--run": order.run,
        "--data": order.data,
        "--contract": order.contract,
        "--html": order.copies.html,
        "--junit": order.copies.junit,
    }
    for option, value in given.items():
        if value is not None:
            raise EdgeMelanomaError(
                f"{option} is for parts of bench, and these are of evaluate; leave it out."
            )
