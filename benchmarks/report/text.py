"""A parity.json for a person, in the terminal and in Markdown."""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from edge_melanoma.benchmarks.report import tables
from edge_melanoma.benchmarks.sections import ReportSection, stored_sections
from edge_melanoma.data.cards import describe_cards
from edge_melanoma.machine.markdown import table_of, template_environment, text_of

TEMPLATES = Path(__file__).parent / "templates"
EXAMPLES_SHOWN = 5
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML may hold, not even escaped."""

Parity = Mapping[str, Any]


def render_template(name: str, **values: Any) -> str:
    """A template of this package; in HTML and XML everything is escaped."""
    environment = template_environment(
        TEMPLATES,
        autoescape=lambda template: str(template).endswith((".html.j2", ".xml.j2")),
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "text": text_of,
        "table": lambda section: "\n".join(table_of(section.columns, section.rows)),
        "one_line": lambda text: " ".join(text.splitlines()),
        "xml": partial(NOT_XML.sub, "\N{REPLACEMENT CHARACTER}"),
    }
    environment.tests["missed"] = lambda sentence, rule: sentence.startswith(f"{rule} ")
    return environment.get_template(name).render(**values)


def render_terminal(parity: Parity) -> list[Table]:
    """The tables for a terminal: quality, then cost, then what was proved."""
    sections = [
        tables.quality_section(parity),
        tables.cost_section(parity),
        *tables.proof_sections(parity),
    ]
    sections += [*stored_sections(parity), *map(tables.outside_section, parity["external"])]
    return [_terminal_table(section) for section in sections]


def render_markdown(parity: Parity) -> str:
    """The verdict, the tables, the flips and the failures as Markdown, fit for a pull request."""
    proofs = tables.proof_sections(parity)
    intervals = [tables.interval_section(parity)] if proofs else []
    return render_template(
        "parity.md.j2",
        verdict=describe_verdict(parity),
        summary=tables.describe_report(parity),
        proof=describe_proof(parity) if proofs else None,
        quality=tables.quality_section(parity),
        cost=tables.cost_section(parity),
        models=[parity["reference"], *parity["candidates"]],
        outside=[tables.outside_section(outside) for outside in parity["external"]],
        notes=describe_notes(parity),
        sections=[tables.rule_section(parity), *proofs, *intervals, *stored_sections(parity)],
    )


def describe_notes(parity: Parity) -> list[str]:
    """A line for each failure, loss and tie, each data set's card, and each own threshold."""
    blocks = [parity["dataset"], *(outside["dataset"] for outside in parity["external"])]
    cards = [line for block in blocks for line in describe_cards(block)]
    text = render_template("notes.txt.j2", parity=parity, cards=cards, shown=EXAMPLES_SHOWN)
    return text.splitlines()


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
    return describe_limits(candidate["proof"]["recall"])


def describe_limits(limits: Mapping[str, Any]) -> str:
    """The figures of `ProofLimits.as_dict` for recall, in words."""
    return render_template("proof.txt.j2", limits=limits).strip()


def _terminal_table(section: ReportSection) -> Table:
    table = Table(title=escape(section.title), caption=escape(section.note))
    for number, column in enumerate(section.columns):
        table.add_column(column, justify="right" if number else "left")
    for cells in section.rows:
        table.add_row(*map(escape, cells))
    return table
