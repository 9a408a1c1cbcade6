"""Which contract a bench is held against, checked before anything is scored."""

from collections.abc import Sequence
from pathlib import Path

from edge_melanoma.artifacts import ConvertedModel, TrainedModel
from edge_melanoma.benchmarks.contract import Contracts, refuse_undefined
from edge_melanoma.benchmarks.contract_file import FILE_NAME, read_contracts
from edge_melanoma.converters.modes import Mode
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.lesions import LesionRecord, count_classes
from edge_melanoma.progress import Reporter


def choose_contracts(path: Path | None, *, reporter: Reporter) -> Contracts:
    """The file that is named; else parity.toml in the present folder, if there is one; else the
    defaults.
    """
    found = path or (Path(FILE_NAME) if Path(FILE_NAME).is_file() else None)
    if found is None:
        return Contracts()
    if path is None:
        reporter.say(f"The contract is {FILE_NAME} in this folder")
    return read_contracts(found, modes=tuple(mode.value for mode in Mode))


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
