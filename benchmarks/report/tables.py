"""The tables of a parity.json: quality, cost, external sets, and what was proved; recall first."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edge_melanoma.benchmarks.parity.rules import FAIL, INCONCLUSIVE, PASS
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
    ("precision", lambda model: format_share(model["metrics"]["precision"])),
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


def proof_sections(parity: Parity) -> list[ReportSection]:
    """Paired statistics, and parity at three thresholds."""
    candidates = parity["candidates"]
    return [
        section_of("Paired statistics", STATISTICS, candidates, note=STATISTICS_NOTE),
        section_of(
            "Parity at three thresholds",
            POINTS,
            _points(candidates),
            note=POINT_NOTE,
        ),
    ]


def _drop_interval(name: str) -> Cell:
    def cell(model: Parity) -> str:
        drop, interval = f"{model['drop'][name]:+.4f}", model["drop_intervals"][name]
        return f"{drop} ({interval[0]:+.4f} .. {interval[1]:+.4f})" if interval else drop

    return cell


STATISTICS: tuple[Column, ...] = (
    ("model", "{0[mode]}"),
    ("recall drop (95 % interval)", _drop_interval("recall")),
    ("upper 95 %", "{0[tests][recall_drop_upper95]:.4f}"),
    ("specificity drop (95 % interval)", _drop_interval("specificity")),
    ("accuracy drop (95 % interval)", _drop_interval("accuracy")),
    ("AUC drop (95 % interval)", _drop_interval("auc")),
    ("pAUC drop (95 % interval)", _drop_interval("partial_auc")),
    ("McNemar p, malignant", "{0[tests][mcnemar_p_malignant]:.3f}"),
    ("McNemar p, all", "{0[tests][mcnemar_p]:.3f}"),
)
STATISTICS_NOTE = (
    "Paired on the same images. Intervals: Tango's for shares, also where nothing flips; DeLong's "
    "for areas, none below 10 images of a class. pAUC: area between the ROC curve and 80 % recall, "
    "at most 0.2. Upper 95 %: Tango's one-sided bound. McNemar: exact."
)


def _points(candidates: Sequence[Parity]) -> list[Parity]:
    return [
        point | {"mode": one["mode"]} for one in candidates for point in one["operating_points"]
    ]


def _there(cell: str) -> Cell:
    """A dash where a file has no such threshold."""
    return lambda point: "-" if point["candidate_threshold"] is None else cell.format(point)


def _candidate_threshold(point: Parity) -> str:
    integer = point["candidate_integer"]
    return _there("{0[candidate_threshold]:.4f}")(point) + (
        "" if integer is None else f" (integer {integer})"
    )


POINT_NAMES = {"half": "0.5", "reference": "reference's", "own": "own"}
POINTS: tuple[Column, ...] = (
    ("model", "{0[mode]}"),
    ("threshold", lambda point: POINT_NAMES[point["name"]]),
    ("reference t", "{0[reference_threshold]:.4f}"),
    ("candidate t", _candidate_threshold),
    ("recall", _there("{0[reference][recall]:.4f} -> {0[candidate][recall]:.4f}")),
    ("drop", _there("{0[drop][recall]:+.4f}")),
    ("specificity", _there("{0[reference][specificity]:.4f} -> {0[candidate][specificity]:.4f}")),
    ("accuracy drop", _there("{0[drop][accuracy]:+.4f}")),
    ("agreement", _there(AGREEMENT)),
    ("lost/gained", _there(LOST_AND_GAINED)),
    ("alarms new/cleared", _there("{0[flips][new_false_alarm]}/{0[flips][cleared_false_alarm]}")),
)
POINT_NOTE = (
    "Recall and specificity: reference -> candidate. Own: each model at the operating point that "
    "was chosen for it on validation; a dash where the file has none, which a new export gives it."
)


def _bounded(name: str) -> Cell:
    return lambda model: _with_bounds(model["metrics"][name], model["intervals"].get(name))


def _with_bounds(value: float | None, interval: Sequence[float] | None) -> str:
    bounds = f" ({interval[0]:.3f} .. {interval[1]:.3f})" if interval else ""
    return f"{format_share(value)}{bounds}"


def _bounded_agreement(model: Parity) -> str:
    shares = model.get("share_intervals")
    return _with_bounds(model["agreement"], shares["agreement"]) if shares else ""


INTERVALS: tuple[Column, ...] = (
    ("model", "{0[mode]}"),
    *((name, _bounded(name)) for name in ("recall", "specificity", "precision", "accuracy")),
    ("F1", _bounded("f1")),
    ("AUC", _bounded("auc")),
    ("pAUC", "{0[part]:.4f}"),
    ("agreement", _bounded_agreement),
)


def interval_section(parity: Parity) -> ReportSection:
    """Every metric with its own interval, where the candidates were studied."""
    candidates = parity["candidates"]
    models = [{**parity["reference"], "part": candidates[0]["partial_auc"]["reference"]}]
    models += [{**one, "part": one["partial_auc"]["candidate"]} for one in candidates]
    return section_of(
        "Metrics with intervals",
        INTERVALS,
        models,
        note="95 % intervals: Wilson's for shares, bootstrap for F1 and AUC.",
    )


def _number(value: float | bool | None) -> str:
    if value is None:
        return "not measured"
    return str(value).lower() if isinstance(value, bool) else f"{value:.4g}"


VERDICTS = {PASS: "kept", FAIL: "MISSED", INCONCLUSIVE: "open"}
RULES: tuple[Column, ...] = (
    ("model", "{0[mode]}"),
    ("rule", "{0[rule]}"),
    ("limit", lambda check: _number(check["limit"])),
    ("measured", lambda check: _number(check["measured"])),
    ("verdict", lambda check: VERDICTS[check["verdict"]]),
)


def rule_section(parity: Parity) -> ReportSection:
    """Every rule of the contract, by candidate."""
    candidates = parity["candidates"]
    checks = [{"mode": one["mode"], **check} for one in candidates for check in one["checks"]]
    return section_of(
        "Contract",
        RULES,
        checks,
        note=f"Limits from {parity['contract']['source']}; a margin is held against the drop's "
        f"upper bound.",
    )
