"""What a candidate may lose against its reference, rule by rule, set before it is measured."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from enum import Enum, auto
from typing import Any

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.runs.models import ConvertedModel, TrainedModel

DEFAULT_SOURCE = "the defaults"
TOLERANCE = 1e-9
"""A drop of 0.005 computed as 0.0050000001 keeps the limit."""

Measured = float | bool | None


class Kind(Enum):
    """How a rule's limit is held against what was measured."""

    AT_MOST = auto()
    AT_LEAST = auto()
    MARGIN = auto()
    """Passed by the upper bound of a drop, which must lie below it."""
    FLAG = auto()


class Unit(Enum):
    """What numbers a limit may be: 0 or more, up to 1, or whole."""

    AMOUNT = auto()
    SHARE = auto()
    COUNT = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One key of a contract; `needs` are the classes of images without which it is undefined.

    `metric` is what a margin is of.
    """

    name: str
    kind: Kind
    unit: Unit
    needs: tuple[str, ...]
    metric: str | None

    def failure(self, value: Measured, limit: float | bool) -> str | None:
        """The sentence of a rule that is missed; none for one that is kept."""
        shown = str(limit).lower() if self.kind is Kind.FLAG else f"{limit:g}"
        if value is None:
            return f"{self.name} is {shown} but was not measured"
        if self._is_kept(value, limit):
            return None
        if self.kind is Kind.FLAG:
            return f"{self.name} is {shown}, but the file has other tensors than integers"
        figure = f"{value:.4g}" if f"{value:.4g}" != f"{limit:.4g}" else f"{value:.9g}"
        what = "the upper bound of the drop is" if self.kind is Kind.MARGIN else "measured"
        return f"{self.name} is {shown}, {what} {figure}"

    def _is_kept(self, value: float, limit: float) -> bool:
        match self.kind:
            case Kind.AT_MOST:
                return value <= limit + TOLERANCE
            case Kind.AT_LEAST:
                return value >= limit - TOLERANCE
            case Kind.MARGIN:
                return value < limit
            case Kind.FLAG:
                return bool(value)

    def complaint(self, value: object) -> str | None:
        """What is wrong with a limit of a file; none where it can be meant."""
        if self.kind is Kind.FLAG:
            return None if isinstance(value, bool) else f"neither true nor false: {value!r}."
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not math.isfinite(value)
        ):
            return f"no number: {value!r}."
        if self.unit is Unit.COUNT and (value < 0 or value != int(value)):
            return f"the limit {value:g}; expected a whole number, 0 or more."
        if self.kind is Kind.MARGIN and not 0 < value <= 1:
            return f"the limit {value:g}; expected a share above 0, up to 1."
        if self.unit is Unit.SHARE and not 0 <= value <= 1:
            return f"the limit {value:g}; expected a share from 0 to 1."
        return None if value >= 0 else f"the limit {value:g}; expected 0 or more."


def _rule(
    kind: Kind,
    *needs: str,
    unit: Unit = Unit.SHARE,
    metric: str | None = None,
    default: float | None = None,
) -> Any:
    rule = {"kind": kind, "unit": unit, "needs": needs, "metric": metric}
    return field(default=default, metadata=rule)


BOTH = ("malignant", "benign")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityContract:
    """Limits of one candidate; a limit of none is not checked.

    The defaults are the product's own promise for int8: half a point of recall and of accuracy.
    A margin is passed by the upper bound of the drop, a `max_..._drop` by the drop itself.
    """

    max_recall_drop: float = _rule(Kind.AT_MOST, "malignant", default=0.005)
    max_accuracy_drop: float = _rule(Kind.AT_MOST, default=0.005)
    min_agreement: float = _rule(Kind.AT_LEAST, default=0.99)
    max_auc_drop: float | None = _rule(Kind.AT_MOST, *BOTH)
    min_recall_lower_bound: float | None = _rule(Kind.AT_LEAST, "malignant")
    max_lost_malignant: int | None = _rule(Kind.AT_MOST, "malignant", unit=Unit.COUNT)
    recall_noninferiority_margin: float | None = _rule(Kind.MARGIN, "malignant", metric="recall")
    specificity_noninferiority_margin: float | None = _rule(
        Kind.MARGIN, "benign", metric="specificity"
    )
    accuracy_noninferiority_margin: float | None = _rule(Kind.MARGIN, metric="accuracy")
    auc_noninferiority_margin: float | None = _rule(Kind.MARGIN, *BOTH, metric="auc")
    partial_auc_noninferiority_margin: float | None = _rule(
        Kind.MARGIN, *BOTH, metric="partial_auc"
    )
    max_size_mb: float | None = _rule(Kind.AT_MOST, unit=Unit.AMOUNT)
    max_p90_ms: float | None = _rule(Kind.AT_MOST, unit=Unit.AMOUNT)
    max_latency_ratio: float | None = _rule(Kind.AT_MOST, unit=Unit.AMOUNT)
    require_full_int8: bool = _rule(Kind.FLAG, default=False)

    def limits(self) -> dict[str, float | bool]:
        """The rules that are to be checked."""
        limits = asdict(self).items()
        return {name: limit for name, limit in limits if limit is not None and limit is not False}

    def margins(self) -> dict[str, float | None]:
        """Non-inferiority margins by metric."""
        return {metric: getattr(self, name) for metric, name in MARGINS.items()}

    def check(self, measured: Mapping[str, Measured]) -> tuple[list[dict[str, Any]], list[str]]:
        """Every rule, in the order above, for parity.json; and a sentence for each missed one."""
        checks, failures = [], []
        for name, limit in self.limits().items():
            value = measured.get(name)
            failure = RULES[name].failure(value, limit)
            checks.append(
                {"rule": name, "limit": limit, "measured": value, "passed": failure is None}
            )
            failures += [failure] if failure else []
        return checks, failures


RULES = {field.name: Rule(name=field.name, **field.metadata) for field in fields(ParityContract)}
MARGINS = {rule.metric: name for name, rule in RULES.items() if rule.metric is not None}
"""The rule that is the margin of each metric."""


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


def refuse_undefined(
    contracts: Contracts, modes: Sequence[str], *, name: str, benign: int, malignant: int
) -> None:
    """Recall, its bounds and lost melanomas need malignant images, specificity benign ones.

    Checked before the scoring, which would be in vain.

    Raises:
        EdgeMelanomaError: a contract asks for what these images do not define.
    """
    asked = [RULES[rule] for mode in modes for rule in contracts.of(mode).limits()]
    for missing, count in (("malignant", malignant), ("benign", benign)):
        rules = [rule.name for rule in asked if missing in rule.needs]
        if not count and rules:
            raise EdgeMelanomaError(
                f"The contract ({contracts.source}) asks for {rules[0]}, which is undefined on "
                f"{name}: it has no {missing} images; bench it on images of both classes."
            )
