"""What a candidate may lose against its reference, rule by rule, set before it is measured."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from edge_melanoma.benchmarks.parity.rules import PASS, Check, Figure, Kind, Rule, Unit
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.runs.converted import ConvertedModel
from edge_melanoma.runs.models import TrainedModel
from edge_melanoma.tflite.modes import Mode

DEFAULT_SOURCE = "the defaults"


def _rule(
    kind: Kind,
    figure: str,
    demand: str,
    aim: str = "",
    *,
    unit: Unit = Unit.SHARE,
    metric: str | None = None,
    default: float | None = None,
) -> Any:
    words = {"figure": figure, "demand": demand, "aim": aim}
    return field(default=default, metadata={"kind": kind, "unit": unit, "metric": metric, **words})


def _drop(name: str, *, default: float | None = None) -> Any:
    aim = f"tell a drop of {{0}} from {{1}} points of {name}"
    figure = f"{name} drops by {{}} points"
    return _rule(Kind.AT_MOST, figure, "at most {} allowed", aim, default=default)


def _margin(metric: str, name: str) -> Any:
    aim = f"exclude a drop of {{1}} points of {name}"
    figure = f"a drop of up to {{}} points of {name} is possible"
    return _rule(Kind.MARGIN, figure, "less than {} required", aim, metric=metric)


def _most(figure: str, unit: Unit = Unit.AMOUNT) -> Any:
    return _rule(Kind.AT_MOST, figure, "at most {} allowed", unit=unit)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityContract:
    """Limits of one candidate; a limit of none is not checked.

    The defaults are the product's own promise for int8: half a point of recall and of accuracy,
    and integers alone in a file whose mode says so. A margin is passed by the upper bound of the
    drop, a `max_..._drop` by the drop itself, on enough pictures to show it.
    """

    max_recall_drop: float = _drop("recall", default=0.005)
    max_accuracy_drop: float = _drop("accuracy", default=0.005)
    min_agreement: float | None = _rule(
        Kind.AT_LEAST, "{} % equal decisions", "at least {} % required", "tell {0} % from {1} %"
    )
    max_auc_drop: float | None = _drop("AUC")
    min_recall_lower_bound: float | None = _rule(
        Kind.AT_LEAST,
        "a recall of only {} % is possible",
        "at least {} % required",
        "show a recall of at least {1} %",
    )
    max_lost_malignant: int | None = _most("malignant pictures lost: {}", Unit.COUNT)
    max_gate_flips: int | None = _most("pictures that one gate alone refuses: {}", Unit.COUNT)
    recall_noninferiority_margin: float | None = _margin("recall", "recall")
    specificity_noninferiority_margin: float | None = _margin("specificity", "specificity")
    accuracy_noninferiority_margin: float | None = _margin("accuracy", "accuracy")
    auc_noninferiority_margin: float | None = _margin("auc", "AUC")
    partial_auc_noninferiority_margin: float | None = _margin("partial_auc", "partial AUC")
    max_size_mb: float | None = _most("{} MB")
    max_p90_ms: float | None = _most("{} ms at the 90th percentile")
    max_latency_ratio: float | None = _most("{} times the time of Keras")
    max_fallback_ops: int | None = _most(
        "{} operators that a GPU leaves to the CPU", unit=Unit.COUNT
    )
    max_decision_changes: float | None = _rule(
        Kind.AT_MOST,
        "phone pipelines change {} % of the decisions",
        "at most {} % allowed",
        "tell {0} % of changed decisions from {1} %",
    )
    require_full_int8: bool | None = _rule(
        Kind.FLAG, "the file has other tensors than integers", "integers alone required"
    )

    def limits(self) -> dict[str, float | bool]:
        """The rules that are to be checked."""
        limits = asdict(self).items()
        return {name: limit for name, limit in limits if limit is not None and limit is not False}

    def margins(self) -> dict[str, float | None]:
        """Non-inferiority margins by metric."""
        return {metric: getattr(self, name) for metric, name in MARGINS.items()}

    @property
    def needs_stability(self) -> bool:
        """Whether pictures have to be taken by phone pipelines too."""
        return self.max_decision_changes is not None

    def check(self, measured: Mapping[str, Figure]) -> list[Check]:
        """Every rule, in the order above."""
        return [RULES[name].check(measured[name], limit) for name, limit in self.limits().items()]


RULES = {field.name: Rule(name=field.name, **field.metadata) for field in fields(ParityContract)}
MARGINS = {rule.metric: name for name, rule in RULES.items() if rule.metric is not None}
"""The rule that is the margin of each metric."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contracts:
    """One contract for all candidates, others for those modes that have a section of their own.

    `on_inconclusive` is the verdict that an inconclusive one counts as: `pass` or `fail`.
    """

    general: ParityContract = field(default_factory=ParityContract)
    by_mode: Mapping[str, ParityContract] = field(default_factory=dict)
    on_inconclusive: str = PASS
    source: str = DEFAULT_SOURCE

    def of(self, mode: str) -> ParityContract:
        """The contract that holds for a mode; a full int8 mode is to be one if nothing is said."""
        contract = self.by_mode.get(mode, self.general)
        if contract.require_full_int8 is None and Mode(mode).is_full_int8:
            return replace(contract, require_full_int8=True)
        return contract

    @property
    def needs_stability(self) -> bool:
        """Whether one of them does."""
        return any(one.needs_stability for one in (self.general, *self.by_mode.values()))

    def as_dict(self) -> dict[str, Any]:
        """For parity.json: the general limits, the source, and the sections."""
        modes = {mode: asdict(contract) for mode, contract in self.by_mode.items()}
        told = {"source": self.source, "on_inconclusive": self.on_inconclusive, "modes": modes}
        return asdict(self.general) | told


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
