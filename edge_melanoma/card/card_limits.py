"""The end of a model card: what its figures do not say, and what may be done with the weights."""

from collections.abc import Iterator

from edge_melanoma.card.card_facts import CardFacts, Section
from edge_melanoma.card.card_method import all_cards, cards_of
from edge_melanoma.card.skin_tone import SkinTone
from edge_melanoma.card.traits import SKIN_TONE
from edge_melanoma.machine.markdown import share_of, text_of

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
