"""The beginning of a model card: what the model is for, what it was made of, and how."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edge_melanoma.card.card_facts import CardFacts, Section
from edge_melanoma.evaluation.evaluation import WITHOUT_LEAKED
from edge_melanoma.machine.markdown import table_of, text_of

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
