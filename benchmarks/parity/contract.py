"""What a candidate may lose against its reference, written down before it is measured.

parity.toml: reads a contract, and writes one that the present figures keep.

Which contract a bench is held against, checked before anything is scored.
"""

import difflib
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from edge_melanoma.data.lesions import LesionRecord, count_classes
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.terminal import Reporter
from edge_melanoma.runs.models import ConvertedModel, TrainedModel
from edge_melanoma.tflite.modes import Mode

MARGIN = "_noninferiority_margin"
DEFAULT_SOURCE = "the defaults"

Measured = float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleOutcome:
    """One rule held against one candidate; `failure` is none where it is kept."""

    rule: str
    limit: float | bool
    measured: Measured
    failure: str | None

    def as_dict(self) -> dict[str, Any]:
        """For parity.json."""
        return {
            "rule": self.rule,
            "limit": self.limit,
            "measured": self.measured,
            "passed": self.failure is None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityContract:
    """Limits of one candidate; a limit of none is not checked.

    The defaults are the product's own promise for int8: half a point of recall and of accuracy.
    A margin is passed by the upper bound of the drop, a `max_..._drop` by the drop itself.
    """

    max_recall_drop: float = 0.005
    max_accuracy_drop: float = 0.005
    min_agreement: float = 0.99
    max_auc_drop: float | None = None
    min_recall_lower_bound: float | None = None
    max_lost_malignant: int | None = None
    recall_noninferiority_margin: float | None = None
    specificity_noninferiority_margin: float | None = None
    accuracy_noninferiority_margin: float | None = None
    auc_noninferiority_margin: float | None = None
    partial_auc_noninferiority_margin: float | None = None
    max_size_mb: float | None = None
    max_p90_ms: float | None = None
    max_latency_ratio: float | None = None
    require_full_int8: bool = False

    def limits(self) -> dict[str, float | bool]:
        """The rules that are to be checked."""
        limits = asdict(self).items()
        return {name: limit for name, limit in limits if limit is not None and limit is not False}

    def margins(self) -> dict[str, float | None]:
        """Non-inferiority margins by metric."""
        return {
            name.removesuffix(MARGIN): limit
            for name, limit in asdict(self).items()
            if name.endswith(MARGIN)
        }

    def check(self, measured: Mapping[str, Measured]) -> tuple[RuleOutcome, ...]:
        """Every rule, in the order in which they stand above."""
        return tuple(
            RuleOutcome(
                rule=name,
                limit=limit,
                measured=measured.get(name),
                failure=_failure(name, measured.get(name), limit),
            )
            for name, limit in self.limits().items()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Contracts:
    """One contract for all candidates, others for those modes that have a section of their own."""

    general: ParityContract = field(default_factory=ParityContract)
    by_mode: Mapping[str, ParityContract] = field(default_factory=dict)
    source: str = DEFAULT_SOURCE

    def of(self, mode: str) -> ParityContract:
        """The contract that holds for a mode."""
        return self.by_mode.get(mode, self.general)

    def as_dict(self) -> dict[str, Any]:
        """For parity.json: the general limits, the source, and the sections."""
        modes = {mode: asdict(contract) for mode, contract in self.by_mode.items()}
        return asdict(self.general) | {"source": self.source, "modes": modes}


RULE_NAMES = tuple(field.name for field in fields(ParityContract))


def refuse_undefined(
    contracts: Contracts, modes: tuple[str, ...], *, name: str, benign: int, malignant: int
) -> None:
    """Recall, its bounds and lost melanomas need malignant images, specificity benign ones.

    Raises:
        EdgeMelanomaError: a contract asks for what these images do not define.
    """
    for count, missing, words in (
        (malignant, "malignant", ("recall", "malignant", "auc")),
        (benign, "benign", ("specificity", "auc")),
    ):
        asked = [rule for mode in modes for rule in contracts.of(mode).limits()]
        rules = [rule for rule in asked if any(word in rule for word in words)]
        if not count and rules:
            raise EdgeMelanomaError(
                f"The contract ({contracts.source}) asks for {rules[0]}, which is undefined on "
                f"{name}: it has no {missing} images; bench it on images of both classes."
            )


def _failure(name: str, value: Measured, limit: float | bool) -> str | None:
    if value is None:
        return f"{name} is {_show(limit)} but was not measured"
    if isinstance(limit, bool):
        return None if value else f"{name} is true, but the file has other tensors than integers"
    if _is_kept(name, float(value), float(limit)):
        return None
    shown = f"{value:.4g}" if f"{value:.4g}" != f"{limit:.4g}" else f"{value:.9g}"
    what = "the upper bound of the drop is" if name.endswith(MARGIN) else "measured"
    return f"{name} is {limit:g}, {what} {shown}"


def _is_kept(name: str, value: float, limit: float) -> bool:
    if name.endswith(MARGIN):
        return value < limit
    # A drop of 0.005 computed as 0.0050000001 keeps the limit.
    tolerance = 1e-9
    return value >= limit - tolerance if name.startswith("min_") else value <= limit + tolerance


def _show(limit: float | bool) -> str:
    return str(limit).lower() if isinstance(limit, bool) else f"{limit:g}"


FILE_NAME = "parity.toml"
FLAGS = ("require_full_int8",)
COUNTS = ("max_lost_malignant",)
SHARES = ("_drop", "_agreement", "_lower_bound", MARGIN)


def read_contracts(path: Path, *, modes: tuple[str, ...]) -> Contracts:
    """Contracts from a TOML file: keys of `ParityContract`, and sections named after a mode.

    A section changes what it names and takes the rest from the keys above it.

    Raises:
        EdgeMelanomaError: no such file, no TOML, an unknown key or mode, or an impossible value.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise EdgeMelanomaError(
            f"The contract {path} is not a readable TOML file: {error}."
        ) from error
    sections = {
        key: value
        for key, value in content.items()
        if isinstance(value, dict) and key not in RULE_NAMES
    }
    general = {key: value for key, value in content.items() if key not in sections}
    _refuse_impossible(general, where=f"The contract {path}", modes=modes)
    for mode, section in sections.items():
        if mode not in modes:
            raise EdgeMelanomaError(_unknown(f"The contract {path}", "section", mode, modes))
        where = f"The section [{mode}] of the contract {path}"
        _refuse_impossible(section, where=where, modes=())
    contract = ParityContract(**general)
    return Contracts(
        general=contract,
        by_mode={mode: replace(contract, **section) for mode, section in sections.items()},
        source=path.name,
    )


def _refuse_impossible(content: Mapping[str, Any], *, where: str, modes: tuple[str, ...]) -> None:
    for key, value in content.items():
        if key in modes:
            raise EdgeMelanomaError(
                f"{where} gives {key} a value; expected a section of limits, [{key}]."
            )
        if key not in RULE_NAMES:
            raise EdgeMelanomaError(_unknown(where, "key", key, (*RULE_NAMES, *modes)))
        complaint = _complaint(key, value)
        if complaint:
            raise EdgeMelanomaError(f"{where} gives {key} {complaint}")


def _unknown(where: str, kind: str, word: str, known: tuple[str, ...]) -> str:
    nearest = difflib.get_close_matches(word, known, n=1, cutoff=0.0)[0]
    return f"{where} has the unknown {kind} '{word}'; did you mean '{nearest}'?"


def _complaint(key: str, value: object) -> str | None:
    if key in FLAGS:
        return None if isinstance(value, bool) else f"neither true nor false: {value!r}."
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return f"no number: {value!r}."
    if key in COUNTS and (value < 0 or value != int(value)):
        return f"the limit {value:g}; expected a whole number, 0 or more."
    if key.endswith(MARGIN) and not 0 < value <= 1:
        return f"the limit {value:g}; expected a share above 0, up to 1."
    if key.endswith(SHARES) and not 0 <= value <= 1:
        return f"the limit {value:g}; expected a share from 0 to 1."
    return None if value >= 0 else f"the limit {value:g}; expected 0 or more."


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
