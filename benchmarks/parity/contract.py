"""What a candidate may lose against its reference, written down before it is measured."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from edge_melanoma.errors import EdgeMelanomaError

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
