"""What the functions of the Python API return: frozen values that notebooks show as tables.

`to_dict()` gives the rows of a table, as `pandas.DataFrame` takes them.
"""

import html
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from edge_melanoma.errors import printable

T = TypeVar("T", bound="Shown")


class Shown:
    """A result that notebooks show as a table."""

    def to_dict(self) -> list[dict[str, Any]]:
        """The rows of its table."""
        raise NotImplementedError

    def _repr_html_(self) -> str:
        rows = self.to_dict()
        head = "".join(f"<th>{_cell(name)}</th>" for name in (rows[0] if rows else ()))
        body = "".join(
            f"<tr>{''.join(f'<td>{_cell(value)}</td>' for value in row.values())}</tr>"
            for row in rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


class Rows(list[T], Shown, Generic[T]):
    """Several results of a kind: a list, shown as one table."""

    def to_dict(self) -> list[dict[str, Any]]:
        """A row for each."""
        return [row for one in self for row in one.to_dict()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Shown):
    """A finished training, in its folder."""

    folder: Path
    variant: str
    threshold: float

    @property
    def evaluation(self) -> dict[str, Any]:
        """What evaluation.json says: every side at the operating point and at 0.5."""
        from edge_melanoma.runs.results import read_evaluation

        return read_evaluation(self.folder)

    def to_dict(self) -> list[dict[str, Any]]:
        """A row a side and set from elsewhere, at the operating point; recall first."""
        told = self.evaluation
        measured = {**told["sides"], **told.get("external", {})}
        return [
            {"variant": self.variant, "side": side, **one["at_operating_point"]["metrics"]}
            for side, one in measured.items()
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model(Shown):
    """A .tflite file; `threshold` is none where it states none."""

    path: Path
    mode: str
    size_bytes: int
    sha256: str
    threshold: float | None

    def to_dict(self) -> list[dict[str, Any]]:
        """One row."""
        return [asdict(self)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction(Shown):
    """What a model says of one picture; `error` says why it says nothing.

    `p_malignant` is in 0..1; `decision` is none where the model states no threshold. A picture that
    the model cannot judge has the decision `not judged` and no `p_malignant`; `gate` tells why.
    With two thresholds, `upper` is the second one and `refer` the decision between them;
    `p_corrected` is the probability in the clinic that the model was commissioned for.
    """

    file: str
    p_malignant: float | None = None
    decision: str | None = None
    threshold: float | None = None
    threshold_source: str | None = None
    threshold_integer: int | None = None
    model: str | None = None
    output_integer: int | None = None
    gate: dict[str, Any] | None = None
    upper: dict[str, Any] | None = None
    p_corrected: float | None = None
    error: str | None = None

    def to_dict(self) -> list[dict[str, Any]]:
        """One row."""
        return [asdict(self)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation(Shown):
    """Figures of a model on a set; `result` is what `evaluate --json` writes."""

    result: dict[str, Any]

    def to_dict(self) -> list[dict[str, Any]]:
        """A row a metric, recall first, with its 95 % interval."""
        bounds = self.result["intervals"]
        return [
            {"metric": name, "value": value, "low": low, "high": high}
            for name, value in self.result["metrics"].items()
            for low, high in [bounds.get(name, (None, None))]
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityReport(Shown):
    """A bench; `report` is what parity.json says."""

    report: dict[str, Any]
    passed: bool

    def to_dict(self) -> list[dict[str, Any]]:
        """A row a file: its verdict, then recall first."""
        return [
            {
                "mode": one["mode"],
                "verdict": one["verdict"],
                **one["metrics"],
                **one["flips"],
                "agreement": one["agreement"],
                "size_bytes": one["size_bytes"],
            }
            for one in self.report["candidates"]
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFindings(Shown):
    """What `data check --json` says of data sets."""

    report: dict[str, Any]

    def to_dict(self) -> list[dict[str, Any]]:
        """How many there are of each kind of finding."""
        return [
            {"finding": name, "number": len(found)}
            for name, found in self.report.items()
            if isinstance(found, list) and name != "sets"
        ]


def _cell(value: object) -> str:
    return html.escape(f"{value:.3f}" if isinstance(value, float) else printable(str(value)))
