"""The tables of a parity.json of quality, cost and external sets; recall comes first."""

from collections.abc import Callable, Mapping
from typing import Any

from edge_melanoma.benchmarks.sections import Column, ReportSection, section_of
from edge_melanoma.evaluation.evaluation import explain_undefined, format_share

Parity = Mapping[str, Any]
Cell = Callable[[Parity], str]


def compared(cell: str) -> Cell:
    """Empty for the reference, which is not compared with itself."""
    return lambda model: cell.format(model) if "flips" in model else ""


AGREEMENT = "{0[agreement]:.2%}"
LOST_AND_GAINED = "{0[flips][lost_malignant]}/{0[flips][gained_malignant]}"
QUALITY: tuple[Column, ...] = (
    ("model", "{0[mode]}"),
    ("recall", "{0[metrics][recall]:.4f}"),
    ("drop", compared("{0[drop][recall]:+.4f}")),
    ("specificity", "{0[metrics][specificity]:.4f}"),
    ("precision", "{0[metrics][precision]:.4f}"),
    ("F1", "{0[metrics][f1]:.4f}"),
    ("accuracy", "{0[metrics][accuracy]:.4f}"),
    ("drop", compared("{0[drop][accuracy]:+.4f}")),
    ("AUC", "{0[metrics][auc]:.4f}"),
    ("agreement", compared(AGREEMENT)),
    ("lost/gained", compared(LOST_AND_GAINED)),
    ("verdict", lambda model: model.get("verdict", "reference")),
)


def quality_section(parity: Parity) -> ReportSection:
    """Metrics of every model at the reference's operating point."""
    return section_of(
        describe_report(parity),
        QUALITY,
        _models(parity),
        note="Drop = reference - candidate. Research only, not a medical device.",
    )


def describe_report(parity: Parity) -> str:
    """What was measured on what, in one line."""
    data, machine, threshold = parity["dataset"], parity["machine"], parity["threshold"]
    noise = ", contaminated by other load" if machine["contaminated"] else ""
    return (
        f"{data['name']}: {data['images']} images, {data['malignant']} malignant; "
        f"threshold {threshold['reference']:.4f} from {threshold['source']}; "
        f"{machine['cpu']}, load {machine['load']:.1f}{noise}"
    )


def _timed(cell: str, missing: str = "") -> Cell:
    return lambda model: cell.format(model) if model["latency_ms"] else missing


def _ratio(model: Parity) -> str:
    ratio = model.get("latency_ratio", 1.0) if model["latency_ms"] else None
    return "" if ratio is None else f"{ratio:.2f}"


COST: tuple[Column, ...] = (
    ("model", "{0[mode]}"),
    ("runtime", "{0[runtime]}"),
    ("size MB", lambda model: f"{model['size_bytes'] / 1e6:.2f}"),
    ("p50 ms", _timed("{0[latency_ms][p50]:.2f}", "not run")),
    ("p90 ms", _timed("{0[latency_ms][p90]:.2f}")),
    ("p99 ms", _timed("{0[latency_ms][p99]:.2f}")),
    ("CPU p50 ms", _timed("{0[latency_ms][cpu_p50]:.2f}")),
    ("p50 ratio", _ratio),
)


def cost_section(parity: Parity) -> ReportSection:
    """Size and time of every model."""
    times = next((one["latency_ms"] for one in parity["candidates"] if one["latency_ms"]), None)
    title = "Latency was not measured"
    if times is not None:
        title = (
            f"One picture at a time, {times['threads']} thread(s), {times['runs']} runs "
            f"after {times['warmup']} for warm-up"
        )
    return section_of(title, COST, _models(parity), note="")


def _models(parity: Parity) -> list[Parity]:
    return [parity["reference"], *parity["candidates"]]


def _share(block: str, name: str, sign: str = "") -> Cell:
    """Pictures of one class leave some of the metrics undefined."""
    return lambda model: format_share(model[block][name], sign=sign) if model.get(block) else ""


def _at_own(name: str) -> Cell:
    def cell(model: Parity) -> str:
        points = [one for one in model.get("operating_points", ()) if not one["missing"]]
        return format_share(points[0]["candidate"][name]) if points else ""

    return cell


OUTSIDE: tuple[Column, ...] = (
    ("model", "{0[mode]}"),
    ("recall", _share("metrics", "recall")),
    ("drop", _share("drop", "recall", "+")),
    ("specificity", _share("metrics", "specificity")),
    ("drop", _share("drop", "specificity", "+")),
    ("accuracy", _share("metrics", "accuracy")),
    ("AUC", _share("metrics", "auc")),
    ("agreement", compared(AGREEMENT)),
    ("lost/gained", compared(LOST_AND_GAINED)),
    ("recall at own threshold", _at_own("recall")),
    ("specificity at own threshold", _at_own("specificity")),
)


def outside_sections(parity: Parity) -> list[ReportSection]:
    """A table an external set."""
    return [outside_section(outside) for outside in parity["external"]]


def outside_section(outside: Parity) -> ReportSection:
    """An entry of parity.json's "external", the reference first."""
    return section_of(
        describe_outside(outside),
        OUTSIDE,
        _models(outside),
        note="At the reference's operating point, but for the last two columns.",
    )


def describe_outside(outside: Parity) -> str:
    """What an entry of parity.json's "external" was measured on, in one line."""
    data = outside["dataset"]
    undefined = explain_undefined(benign=data["benign"], malignant=data["malignant"])
    return (
        f"Outside, {data['name']}: {data['images']} images, {data['malignant']} malignant, "
        f"{outside['left_out']} left out as copies" + (f"; {undefined}" if undefined else "")
    )
