"""The model card of a run as Markdown: its sections, and where each CLAIM item is answered."""

from collections.abc import Sequence

from edge_melanoma.card.card_facts import CardFacts, Section
from edge_melanoma.card.card_limits import describe_limits
from edge_melanoma.card.card_method import describe_method
from edge_melanoma.card.card_results import describe_results
from edge_melanoma.card.claim import SOURCES, list_items, name_items
from edge_melanoma.machine.markdown import table_of, text_of


def render_card(facts: CardFacts) -> str:
    """The whole card; the same run gives the same card."""
    sections = [*describe_method(facts), *describe_results(facts), *describe_limits(facts)]
    run = facts.run
    lines = [
        f"# Model card: {text_of(run.folder.resolve().name)} ({text_of(run.variant)})",
        "",
        "Research only. Not a medical device.",
        "",
        f"Filled from the run by edge-melanoma. {SOURCES}.",
    ]
    for section in sections:
        lines += ["", *_lines_of(section)]
    return "\n".join([*lines, "", *_checklist(sections), ""])


def _lines_of(section: Section) -> list[str]:
    items = name_items(section.claim_2024, section.claim_2020)
    return [f"## {section.title}", "", items, "", *section.lines]


def _checklist(sections: Sequence[Section]) -> list[str]:
    answered = {section.title: section.claim_2024 for section in sections}
    rows = [[str(number), name, place] for number, name, place in list_items(answered)]
    return ["## CLAIM 2024, item by item", "", *table_of(("item", "topic", "where"), rows)]
