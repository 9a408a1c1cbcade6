"""Which contract a bench is held against, checked before anything is scored."""

from collections.abc import Sequence
from pathlib import Path

from edge_melanoma.benchmarks.parity.contract import Contracts, refuse_undefined
from edge_melanoma.benchmarks.parity.contract_file import FILE_NAME, read_contracts
from edge_melanoma.data.lesions import LesionRecord, count_classes
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.progress import Reporter
from edge_melanoma.runs.artifacts import ConvertedModel, TrainedModel
from edge_melanoma.tflite.modes import Mode


def find_contract() -> Path | None:
    """parity.toml in the present folder, if there is one."""
    path = Path(FILE_NAME)
    return path if path.is_file() else None


def choose_contracts(path: Path | None, *, reporter: Reporter) -> Contracts:
    """Those of a file, or the defaults.

    Raises:
        EdgeMelanomaError: the file cannot be read or meant.
    """
    if path is None:
        return Contracts()
    reporter.say(f"The contract is {path}")
    return read_contracts(path, modes=tuple(mode.value for mode in Mode))


def refuse_unmet_sections(
    contracts: Contracts, run: TrainedModel, exports: Sequence[ConvertedModel]
) -> None:
    """A section for a mode that is not exported would be kept by nothing at all.

    Raises:
        EdgeMelanomaError: there is such a section.
    """
    modes = {model.mode for model in exports}
    for mode in contracts.by_mode:
        if mode not in modes:
            raise EdgeMelanomaError(
                f"The contract ({contracts.source}) has the section [{mode}], and the run "
                f"{run.folder} no such export; make it with: edge-melanoma export {run.folder} "
                f"--quantize {mode}"
            )


def refuse_undefined_rules(
    contracts: Contracts,
    exports: Sequence[ConvertedModel],
    records: tuple[LesionRecord, ...],
    *,
    name: str,
) -> None:
    """Before the scoring, as it would be in vain.

    Raises:
        EdgeMelanomaError: a rule needs images of a class that is not among `records`.
    """
    benign, malignant = count_classes(records)
    modes = tuple(model.mode for model in exports)
    refuse_undefined(contracts, modes, name=name, benign=benign, malignant=malignant)
