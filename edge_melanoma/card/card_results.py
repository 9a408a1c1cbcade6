"""The results in a model card: what was measured, on what, and where the model fails."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from edge_melanoma.card.card_facts import CardFacts, JudgedSet, Section
from edge_melanoma.card.card_method import SIDES
from edge_melanoma.card.failure_sheets import Failure
from edge_melanoma.card.subgroup_tables import describe_findings, explain_table, rows_of_table
from edge_melanoma.machine.markdown import DASH, share_of, table_of, text_of


def describe_results(facts: CardFacts) -> Iterator[Section]:
    """The sections in their order."""
    yield _operating_point(facts)
    yield _calibration(facts)
    yield _performance(facts)
    yield _subgroups(facts)
    yield _failures(facts)
    yield _phone_files(facts)


def _operating_point(facts: CardFacts) -> Section:
    point = facts.run.manifest["operating_point"]
    line = (
        f"Threshold {point['threshold']:.6f}: the highest that reaches a recall of "
        f"{point['min_recall']:g} on the validation side, chosen there and nowhere else. There it "
        f"has recall {share_of(point['recall'], point['recall_interval'])} and specificity "
        f"{share_of(point['specificity'])} on {point['malignant']} malignant and "
        f"{point['benign']} benign pictures."
    )
    return Section(title="Operating point", claim_2024=(26, 28), claim_2020=(26, 28), lines=(line,))


def _calibration(facts: CardFacts) -> Section:
    told = facts.run.manifest.get("calibration")
    lines = [
        f"Temperature {told['temperature']:.4f}, fitted on the {told['side']} side "
        f"({told['images']} pictures) and folded into the last layer."
        if told
        else "The scores are as the network learned them: no calibration was fitted."
    ]
    for side in SIDES:
        measured = facts.evaluation["sides"].get(side, {}).get("calibration")
        if measured:
            lines += [
                "",
                f"Expected calibration error on the {text_of(side.replace('_', ' '))} side "
                f"({facts.evaluation['sides'][side]['images']} pictures): "
                f"{share_of(measured['ece'], measured['ece_interval'])}.",
            ]
    lines += ["", "Where malignant lesions are rarer than in the data, scores are too high."]
    return Section(
        title="Calibration", claim_2024=(25, 28), claim_2020=(25, 28), lines=tuple(lines)
    )


def _performance(facts: CardFacts) -> Section:
    sides = facts.evaluation["sides"]
    name = facts.run.manifest["dataset"]["name"]
    measured = {
        f"{name}, {side.replace('_', ' ')} side": (sides[side], sides[side])
        for side in reversed(SIDES)
        if side in sides
    }
    for outside, block in facts.evaluation["external"].items():
        measured[f"{outside} (outside)"] = (block["dataset"], block)
    rows = [
        _performance_row(text_of(label), counts, block["at_operating_point"])
        for label, (counts, block) in measured.items()
    ]
    header = ("measured on", "malignant", "recall", "benign", "specificity", "AUC", "accuracy")
    return Section(
        title="Performance inside and outside",
        claim_2024=(28, 29, 32, 33, 37, 38),
        claim_2020=(28, 29, 32, 35, 36),
        lines=(
            *table_of(header, rows),
            "",
            "The trained network (Keras) at the operating point, with 95 % intervals: Wilson's "
            "for shares, a bootstrap over pictures, stratified by class, for the AUC. Training "
            "pictures were learned from, and validation chose the threshold: only test and "
            "outside sets say how it does on other pictures."
            + ("" if facts.evaluation["external"] else " **No outside set was measured.**"),
        ),
    )


def _performance_row(label: str, counts: Mapping[str, Any], at: Mapping[str, Any]) -> list[str]:
    shares = {
        name: share_of(value, at["intervals"].get(name)) for name, value in at["metrics"].items()
    }
    return [
        label,
        str(counts["malignant"]),
        shares["recall"],
        str(counts["benign"]),
        *(shares[name] for name in ("specificity", "auc", "accuracy")),
    ]


def _subgroups(facts: CardFacts) -> Section:
    lines: list[str] = []
    for judged in facts.judged:
        header, *rows = rows_of_table(judged.subgroups)
        lines += [
            f"### {text_of(judged.name)}: {judged.dataset['images']} pictures, "
            f"{judged.dataset['malignant']} malignant",
            "",
            *table_of(header, [[text_of(cell) for cell in row] for row in rows]),
            "",
            *(line for text in describe_findings(judged.subgroups) for line in (text_of(text), "")),
        ]
    lines += [line for text in explain_table() for line in (text_of(text), "")]
    lines.append("As JSON, with all p values: subgroups.json.")
    return Section(
        title="Who it fails: subgroups and slices",
        claim_2024=(12, 29, 30, 36, 37),
        claim_2020=(13, 29, 30, 34, 35),
        lines=tuple(lines),
    )


def _failures(facts: CardFacts) -> Section:
    lines: list[str] = []
    for judged in facts.judged:
        for kind in Failure:
            lines += [*_failure_lines(judged, kind), ""]
    lines += [
        "Each pair shows the picture and the same under its heat map (Grad-CAM of the last "
        "feature maps, Selvaraju and others 2017): red spoke most for the decision that was made, "
        "for a miss that is benign. A map shows where, not why, at a resolution of 7x7; it was "
        "not validated against anything that a dermatologist has marked."
    ]
    return Section(
        title="Worst failures",
        claim_2024=(31, 39),
        claim_2020=(31, 37),
        lines=tuple(lines),
    )


def _failure_lines(judged: JudgedSet, kind: Failure) -> list[str]:
    sheet, where = judged.sheets.get(kind), text_of(judged.name)
    if sheet is None:
        total = judged.dataset[kind.truth]
        return [f"No {kind.plural} on {where}, among {total} {kind.truth} pictures."]
    total = f"among {sheet.images} {kind.truth} pictures"
    if sheet.link is None:
        return [f"{sheet.errors} {kind.plural} on {where}, {total}; no sheet was drawn."]
    first = "lowest" if kind is Failure.MISS else "highest"
    title = f"{where}: the {sheet.shown} worst of {sheet.errors} {kind.plural}"
    return [f"{title}, {total}, {first} score first:", "", f"![{title}]({quote(sheet.link)})"]


def _phone_files(facts: CardFacts) -> Section:
    rows = [_file_row(name, told) for name, told in facts.exports.items()]
    lines = ["No file was exported from this run."]
    if rows:
        header = ("file", "size", "sha256", "threshold", "as integer of its output")
        lines = [*table_of(header, rows), "", *_parity_lines(facts.parity)]
    return Section(
        title="Files for the phone and their parity",
        claim_2024=(30, 43),
        claim_2020=(30,),
        lines=tuple(lines),
    )


def _file_row(name: str, told: Mapping[str, Any]) -> list[str]:
    integer = (told.get("operating_point") or {}).get("integer")
    return [
        text_of(name),
        f"{told['size_bytes'] / 1e6:.2f} MB",
        f"`{told['sha256']}`",
        f"{told['threshold']:.6f}" if "threshold" in told else DASH,
        DASH if integer is None else str(integer),
    ]


def _parity_lines(parity: Mapping[str, Any] | None) -> list[str]:
    if parity is None:
        return ["Whether they decide as the network does was not measured (edge-melanoma bench)."]
    data = parity["dataset"]
    rows = [
        [
            text_of(model["mode"]),
            share_of(model["metrics"]["recall"], model["intervals"].get("recall")),
            f"{model['drop']['recall']:+.4f}",
            share_of(model["metrics"]["specificity"], model["intervals"].get("specificity")),
            share_of(model["metrics"]["auc"], model["intervals"].get("auc")),
            f"{model['agreement']:.2%}",
            str(model["flips"]["lost_malignant"]),
            text_of(model["verdict"]),
        ]
        for model in parity["candidates"]
    ]
    header = ("file", "recall", "drop of recall", "specificity", "AUC", "equal decisions",
              "malignant lost", "contract")  # fmt: skip
    return [
        f"Against the trained network on {text_of(data['name'])} ({data['images']} pictures, "
        f"{data['malignant']} malignant):",
        "",
        *table_of(header, rows),
    ]
