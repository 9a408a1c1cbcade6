"""The tables of a parity.json that say what was proved: statistics, thresholds, contract."""

from collections.abc import Mapping, Sequence
from typing import Any

from edge_melanoma.benchmarks.parity.paired_tests import describe_limits
from edge_melanoma.benchmarks.sections import ReportSection

STATISTICS_COLUMNS = (
    "model",
    "recall drop (95 % interval)",
    "upper 95 %",
    "specificity drop (95 % interval)",
    "accuracy drop (95 % interval)",
    "AUC drop (95 % interval)",
    "pAUC drop (95 % interval)",
    "McNemar p, malignant",
    "McNemar p, all",
)
STATISTICS_NOTE = (
    "Paired on the same images. Intervals: stratified bootstrap, 2,000 resamples, percentiles. "
    "Upper 95 %: one-sided bound of the recall drop by Tango's score test, also where nothing "
    "flips. pAUC: area between the ROC curve and 80 % recall, at most 0.2. McNemar: exact."
)
INTERVAL_COLUMNS = (
    "model",
    "recall",
    "specificity",
    "precision",
    "accuracy",
    "F1",
    "AUC",
    "pAUC",
    "agreement",
)
INTERVAL_NOTE = "95 % intervals: Wilson's for shares, bootstrap for F1 and AUC."
MARGIN_COLUMNS = ("model", "metric", "drop", "upper 95 %", "margin", "p", "no worse")
MARGIN_NOTE = "One-sided at 5 %: no worse where the upper bound lies below the contract's margin."
POINT_COLUMNS = (
    "model",
    "threshold",
    "reference t",
    "candidate t",
    "recall",
    "drop",
    "specificity",
    "accuracy drop",
    "agreement",
    "lost/gained",
    "alarms new/cleared",
)
POINT_NOTE = (
    "Recall and specificity: reference -> candidate. Own: each model at the operating point that "
    "was chosen for it on validation."
)
POINT_NAMES = {"half": "0.5", "reference": "reference's", "own": "own"}
RULE_COLUMNS = ("model", "rule", "limit", "measured", "verdict")
DROP_METRICS = ("recall", "specificity", "accuracy", "auc", "partial_auc")

Parity = Mapping[str, Any]


def proof_sections(parity: Parity) -> list[ReportSection]:
    """What of these tables a report has the figures for, statistics first."""
    candidates = [candidate for candidate in parity["candidates"] if "drop_intervals" in candidate]
    if not candidates:
        return []
    sections = [
        ReportSection(
            title="Paired statistics",
            columns=STATISTICS_COLUMNS,
            rows=tuple(map(_statistics_row, candidates)),
            note=STATISTICS_NOTE,
        ),
        ReportSection(
            title="Parity at three thresholds",
            columns=POINT_COLUMNS,
            rows=tuple(row for candidate in candidates for row in _point_rows(candidate)),
            note=POINT_NOTE + _explain_dashes(candidates),
        ),
    ]
    margins = [row for candidate in candidates for row in _margin_rows(candidate)]
    if margins:
        sections.append(
            ReportSection(
                title="Non-inferiority",
                columns=MARGIN_COLUMNS,
                rows=tuple(margins),
                note=MARGIN_NOTE,
            )
        )
    return sections


def interval_section(parity: Parity) -> ReportSection:
    """Every metric with its own interval, where the candidates were studied."""
    candidates = parity["candidates"]
    parts = [candidate["partial_auc"] for candidate in candidates]
    rows = [_interval_row(parity["reference"], parts[0]["reference"])]
    rows += [
        _interval_row(candidate, part["candidate"])
        for candidate, part in zip(candidates, parts, strict=True)
    ]
    return ReportSection(
        title="Metrics with intervals",
        columns=INTERVAL_COLUMNS,
        rows=tuple(rows),
        note=INTERVAL_NOTE,
    )


def rule_section(parity: Parity) -> ReportSection:
    """Every rule of the contract, by candidate."""
    rows = [
        (
            candidate["mode"],
            check["rule"],
            _number(check["limit"]),
            _number(check["measured"]),
            "kept" if check["passed"] else "MISSED",
        )
        for candidate in parity["candidates"]
        for check in candidate["checks"]
    ]
    return ReportSection(
        title="Contract",
        columns=RULE_COLUMNS,
        rows=tuple(rows),
        note=f"Limits from {parity['contract']['source']}; a margin is held against the drop's "
        f"upper bound.",
    )


def describe_verdict(parity: Parity) -> str:
    """Pass or fail, and of how many rules, in a line."""
    candidates = parity["candidates"]
    checks = [check for candidate in candidates for check in candidate["checks"]]
    failing = [candidate["mode"] for candidate in candidates if candidate["failures"]]
    missed = sum(not check["passed"] for check in checks)
    if failing:
        return f"Fail: {', '.join(failing)}; {missed} of {len(checks)} checks missed"
    return f"Pass: {len(checks)} checks of {len(candidates)} exported models"


def describe_proof(parity: Parity) -> str:
    """What this number of images can prove of recall, at the flips of the candidate with most."""
    candidate = max(parity["candidates"], key=lambda one: one["proof"]["recall"]["discordance"])
    limits = candidate["proof"]["recall"]
    return describe_limits(limits, what="recall", pictures="malignant images")


def _interval_row(model: Parity, part: float) -> tuple[str, ...]:
    names = ("recall", "specificity", "precision", "accuracy", "f1", "auc")
    cells = [_bounded(model["metrics"][name], model["intervals"].get(name)) for name in names]
    shares = model.get("share_intervals")
    agreement = _bounded(model["agreement"], shares["agreement"]) if shares else ""
    return (model["mode"], *cells, f"{part:.4f}", agreement)


def _bounded(value: float, interval: Sequence[float] | None) -> str:
    if interval is None:
        return f"{value:.4f}"
    return f"{value:.4f} ({interval[0]:.3f} .. {interval[1]:.3f})"


def _statistics_row(candidate: Parity) -> tuple[str, ...]:
    tests = candidate["tests"]
    drops = [_with_interval(candidate, metric) for metric in DROP_METRICS]
    bound = f"{tests['noninferiority']['recall']['upper95']:.4f}"
    ps = (f"{tests['mcnemar_p_malignant']:.3f}", f"{tests['mcnemar_p']:.3f}")
    return (candidate["mode"], drops[0], bound, *drops[1:], *ps)


def _with_interval(candidate: Parity, metric: str) -> str:
    low, high = candidate["drop_intervals"][metric]
    return f"{candidate['drop'][metric]:+.4f} ({low:+.4f} .. {high:+.4f})"


def _point_rows(candidate: Parity) -> list[tuple[str, ...]]:
    rows = []
    for point in candidate["operating_points"]:
        name = POINT_NAMES[point["name"]]
        threshold = f"{point['reference_threshold']:.4f}"
        if point["missing"]:
            rows.append((candidate["mode"], name, threshold, *["-"] * (len(POINT_COLUMNS) - 3)))
            continue
        before, after, flips = point["reference"], point["candidate"], point["flips"]
        rows.append(
            (
                candidate["mode"],
                name,
                threshold,
                _own_threshold(point),
                f"{before['recall']:.4f} -> {after['recall']:.4f}",
                f"{point['drop']['recall']:+.4f}",
                f"{before['specificity']:.4f} -> {after['specificity']:.4f}",
                f"{point['drop']['accuracy']:+.4f}",
                f"{point['agreement']:.2%}",
                f"{flips['lost_malignant']}/{flips['gained_malignant']}",
                f"{flips['new_false_alarm']}/{flips['cleared_false_alarm']}",
            )
        )
    return rows


def _own_threshold(point: Parity) -> str:
    integer = point["candidate_integer"]
    told = f"{point['candidate_threshold']:.4f}"
    return told if integer is None else f"{told} (integer {integer})"


def _explain_dashes(candidates: Sequence[Parity]) -> str:
    modes_of: dict[str, list[str]] = {}
    for candidate in candidates:
        for point in candidate["operating_points"]:
            if point["missing"]:
                modes_of.setdefault(point["missing"], []).append(candidate["mode"])
    reasons = [f"{', '.join(modes)}: {reason}" for reason, modes in modes_of.items()]
    return f" A dash: {'; '.join(reasons)}." if reasons else ""


def _margin_rows(candidate: Parity) -> list[tuple[str, ...]]:
    return [
        (
            candidate["mode"],
            metric,
            f"{test['drop']:+.4f}",
            f"{test['upper95']:.4f}",
            f"{test['margin']:g}",
            f"{test['p']:.4f}",
            "shown" if test["shown"] else "NOT SHOWN",
        )
        for metric, test in candidate["tests"]["noninferiority"].items()
        if test["margin"] is not None
    ]


def _number(value: float | bool | None) -> str:
    if value is None:
        return "not measured"
    return str(value).lower() if isinstance(value, bool) else f"{value:.4g}"
