"""The beginning of a model card: what the model is for, what it was made of, and how.

The results in a model card: what was measured, on what, and where the model fails.

The end of a model card: what its figures do not say, and what may be done with the weights.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from edge_melanoma.card.facts import CardFacts, JudgedSet, Section
from edge_melanoma.card.failure_sheets import Failure
from edge_melanoma.card.skin_tone import SkinTone
from edge_melanoma.card.subgroups import describe_findings, explain_table, rows_of_table
from edge_melanoma.card.traits import SKIN_TONE
from edge_melanoma.evaluation.evaluation import WITHOUT_LEAKED
from edge_melanoma.machine.markdown import DASH, share_of, table_of, text_of

NAMED_WEIGHTS = ("imagenet", "none", "bundled", "teacher")
SIDES = ("train", "validation", "test", WITHOUT_LEAKED)


def describe_method(facts: CardFacts) -> Iterator[Section]:
    """The sections in their order."""
    yield _intended_use()
    yield _data(facts)
    yield _labels(facts)
    yield _split(facts)
    yield _preprocessing(facts)
    yield _architecture(facts)
    yield _training(facts)


def cards_of(dataset: Mapping[str, Any]) -> dict[str, Mapping[str, Any] | None]:
    """The data set cards in a dataset block, by the name of the set."""
    return dict(dataset.get("cards") or {dataset["name"]: dataset.get("card")})


def all_cards(facts: CardFacts) -> dict[str, Mapping[str, Any] | None]:
    """Of the sets that were trained on and of those from elsewhere."""
    cards = cards_of(facts.evaluation["dataset"])
    for name, outside in facts.evaluation["external"].items():
        cards[f"{name} (outside)"] = outside["dataset"].get("card")
    return cards


def _intended_use() -> Section:
    return Section(
        title="Intended use",
        claim_2024=(1, 3, 5, 6, 41),
        claim_2020=(1, 3, 5, 6, 39),
        lines=(
            "A convolutional neural network (deep learning) that gives one dermoscopic picture of "
            "one skin lesion a score from 0 to 1, P(malignant), and at the operating point below a "
            "decision. It is made for research: to compare training recipes and to show that an "
            "int8 file on a phone decides as the trained network does. The study is "
            "retrospective: the pictures were there before the model.",
            "",
            "**Not a medical device.** No authority has approved it and no clinical study has "
            "tested it. Nobody may be examined, reassured or treated because of its score.",
            "",
            "Out of scope: diagnosis, triage, screening and self-examination; pictures taken "
            "without a dermatoscope; nails, mucosa and other places or diseases that its training "
            "data do not show; the course of one lesion over time; histology, size and history "
            "of the lesion, which the network does not see.",
        ),
    )


def _data(facts: CardFacts) -> Section:
    rows = []
    for name, card in all_cards(facts).items():
        if card is None:
            rows.append([text_of(name), *["not stated (no dataset.toml)"] * 3])
            continue
        place = f"doi:{card['doi']}" if card.get("doi") else card.get("url")
        source = f"{card['source']} ({place})" if place else card["source"]
        rows.append([text_of(cell) for cell in (name, source, card["licence"], card["geometry"])])
    left_out = facts.run.manifest["left_out"]
    lines = [
        *table_of(("data set", "source", "licence", "geometry of its files"), rows),
        "",
        f"Pictures that could not be read and were left out: {len(left_out['unreadable'])}. "
        "No other picture was excluded by what it shows. File metadata are not read, and names "
        "and dates of patients are in no file of the run; how the sources de-identified their "
        "pictures, and with which cameras and dermatoscopes they were taken, is not known here.",
        "",
        *table_of(("pictures", "all", "malignant", "benign"), list(_counts(facts))),
    ]
    return Section(
        title="Data",
        claim_2024=(7, 8, 11, 13, 35, 36),
        claim_2020=(7, 8, 12, 33, 34),
        lines=tuple(lines),
    )


def _counts(facts: CardFacts) -> Iterator[list[str]]:
    sides = facts.evaluation["sides"]
    blocks = {f"{side} side": sides[side] for side in SIDES if side in sides}
    blocks = {name.replace("_", " "): block for name, block in blocks.items()}
    for name, outside in facts.evaluation["external"].items():
        blocks[f"{name} (outside)"] = outside["dataset"]
    for name, block in blocks.items():
        yield [text_of(name), *(str(block[key]) for key in ("images", "malignant", "benign"))]


def _labels(facts: CardFacts) -> Section:
    lines = [
        f"- {text_of(name)}: {text_of(card['label_definition'])}"
        if card
        else f"- {text_of(name)}: not stated"
        for name, card in all_cards(facts).items()
    ]
    return Section(
        title="Reference standard",
        claim_2024=(14, 16),
        claim_2020=(14, 16),
        lines=("What counts as malignant, by the cards of the data sets:", "", *lines),
    )


def _split(facts: CardFacts) -> Section:
    split, manifest = facts.run.manifest["split"], facts.run.manifest
    kind = {
        "pooled": "All pictures were pooled and drawn anew into 70 % training, 15 % validation and "
        "15 % test, each class by these shares.",
        "folders": "The given test folder is the test side; 15 % of the given training folder were "
        "drawn for validation.",
    }[split["kind"]]
    leaked = len(facts.split.get("leaked_test", ()))
    lines = [
        f"{kind} Seed {split['seed']}. Pictures of one lesion, where the data set names lesions, "
        "and copies of one picture stay on one side. Whether two lesions are of one patient is not "
        "known, so that sides are disjoint by lesion at best, not by patient.",
        "",
        f"Left out of training because they also stand in the given test folder: "
        f"{len(manifest['left_out']['also_in_test'])}. Test pictures with copies in the given "
        f"training folder: {leaked}"
        + ("; results stand below with and without them." if leaked else "."),
    ]
    for name, outside in facts.evaluation["external"].items():
        lines += [
            "",
            f"Outside set {text_of(name)}: {outside['left_out']} pictures left out as copies of "
            f"pictures that were learned from, compared by {text_of(outside['compared_by'])}.",
        ]
    return Section(
        title="Split and leaks",
        claim_2024=(10, 19, 20),
        claim_2020=(10, 20, 21),
        lines=tuple(lines),
    )


def _preprocessing(facts: CardFacts) -> Section:
    return Section(
        title="Preprocessing",
        claim_2024=(9, 12),
        claim_2020=(9, 13),
        lines=(
            "The whole frame is turned upright, squashed to 224x224 RGB by an antialiasing filter "
            f"(`{facts.run.manifest['resize']}`) and scaled to 0..1; no cropping, no removal of "
            "hair. Age, sex, site and diagnosis are not given to the network; where a data set "
            "does not state them, the picture counts as not known in the tables of subgroups.",
        ),
    )


def _architecture(facts: CardFacts) -> Section:
    recipe, environment = facts.run.manifest["recipe"], facts.run.manifest["environment"]
    weights = str(facts.run.manifest["settings"]["weights"])
    start = weights if weights in NAMED_WEIGHTS else f"the file {Path(weights).name}"
    packages = environment["packages"]
    used = ", ".join(f"{name} {packages[name]}" for name in packages if packages[name])
    lines = [
        f"MobileNetV2 (alpha 1.0) up to its layer `{recipe['last_layer']}`, global average "
        f"pooling, a dense layer of {recipe['dense_units']} with ReLU, dropout "
        f"{recipe['dropout']}, one sigmoid unit; {facts.parameters:,} weights. Input 224x224x3 in "
        "0..1, output P(malignant).",
        "",
        f"Starting weights: {text_of(start)}.",
        "",
        f"Made with edge-melanoma {environment['edge_melanoma']}, python {environment['python']}, "
        f"{text_of(used)}.",
    ]
    return Section(
        title="Architecture",
        claim_2024=(22, 23, 24),
        claim_2020=(22, 23, 24),
        lines=tuple(lines),
    )


def _training(facts: CardFacts) -> Section:
    manifest = facts.run.manifest
    recipe, settings = manifest["recipe"], manifest["settings"]
    rows = [
        [
            text_of(stage["name"]),
            str(stage["unfrozen_backbone_layers"]),
            f"{stage['learning_rate']:g}",
            str(stage["epochs"]),
            str(stage["image_size"]),
            "yes" if stage["augmentation"] else "no",
            f"early stopping, patience {stage['patience']}"
            if stage["patience"]
            else "averaged weights of the last step"
            if stage["average_decay"]
            else "the last step",
        ]
        for stage in recipe["stages"]
    ]
    header = ("stage", "backbone layers trained", "learning rate", "epochs", "side in pixels")
    teacher = manifest.get("teacher")
    lines = [
        *table_of((*header, "augmented", "weights kept"), rows),
        "",
        f"Recipe {text_of(manifest['variant'])}, batches of "
        f"{settings['batch_size'] or recipe['batch_size']}, Adam, binary cross-entropy, seed "
        f"{settings['seed']}, {manifest['training']['seconds']:.0f} s on "
        f"{text_of(manifest['environment']['cpu'])}. Loss and metrics of every epoch: history.csv. "
        "One network, no ensemble"
        + (f"; taught by the {text_of(teacher['variant'])} run." if teacher else "."),
    ]
    return Section(
        title="Training",
        claim_2024=(25, 26, 27),
        claim_2020=(25, 26, 27),
        lines=tuple(lines),
    )


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


DARKER_TONES = (SkinTone.TAN, SkinTone.BROWN, SkinTone.DARK)


def describe_limits(facts: CardFacts) -> Iterator[Section]:
    """The sections in their order."""
    yield _limits(facts)
    yield _licence(facts)


def _limits(facts: CardFacts) -> Section:
    lines = [f"- {line}" for line in (*_measured_limits(facts), *GENERAL_LIMITS)]
    notes = [card["note"] for card in all_cards(facts).values() if card and card.get("note")]
    lines += [f"- The data: {text_of(note)}." for note in dict.fromkeys(notes)]
    return Section(title="Limits", claim_2024=(40,), claim_2020=(38,), lines=tuple(lines))


GENERAL_LIMITS = (
    "Labels, sites and ages are as the archives give them; pictures of one patient are not "
    "independent, and intervals do not know of it.",
    "Where the classes of the training data come from different clinics, the network may have "
    "learned the clinics; only outside sets can show it.",
    "Skin tones are estimated from uncalibrated pictures, artefacts are found by simple "
    "detectors that miss and err.",
)


def _measured_limits(facts: CardFacts) -> Iterator[str]:
    inside = facts.evaluation["sides"]["test"]["at_operating_point"]["metrics"]
    for name, block in facts.evaluation["external"].items():
        outside = block["at_operating_point"]["metrics"]
        pairs = ", ".join(
            f"{label} {share_of(outside[key])} against {share_of(inside[key])}"
            for key, label in (("recall", "recall"), ("specificity", "specificity"), ("auc", "AUC"))
        )
        yield f"Outside, on {text_of(name)}, against the test side inside: {pairs}."
    for judged in facts.judged:
        tones = {g.value: g for g in judged.subgroups.groups if g.attribute == SKIN_TONE}
        darker = [tones[tone.value] for tone in DARKER_TONES if tone.value in tones]
        malignant = sum(group.recall.images for group in darker)
        images = malignant + sum(group.specificity.images for group in darker)
        yield (
            f"On {text_of(judged.name)}, {images} of {judged.dataset['images']} pictures were "
            f"estimated to show tan, brown or dark skin, {malignant} of them malignant."
        )
    test = facts.evaluation["sides"]["test"]
    yield (
        f"Of the test side {test['malignant'] / test['images']:.0%} are malignant; where fewer "
        f"are, as in any practice, precision is lower than here."
    )
    if not facts.evaluation["external"]:
        yield "No set from elsewhere was measured: nothing is known of how the model generalises."


def _licence(facts: CardFacts) -> Section:
    licences = [
        f"{text_of(name)}: {text_of(card['licence'] if card else 'not stated')}"
        for name, card in cards_of(facts.evaluation["dataset"]).items()
    ]
    split = facts.run.manifest["split"]
    return Section(
        title="Licence, availability and hashes",
        claim_2024=(43,),
        claim_2020=(),
        lines=(
            "The program is under Apache-2.0. The weights were learned from pictures under: "
            f"{'; '.join(licences)}. Where such pictures are CC BY-NC, or their licence is not "
            "known, **the weights are for research only**, and not for commercial use.",
            "",
            f"- weights.safetensors: sha256 `{facts.run.sha256}`",
            f"- split: `{split['fingerprint']}`",
            f"- data: `{facts.run.manifest['dataset']['fingerprint']}`",
        ),
    )
