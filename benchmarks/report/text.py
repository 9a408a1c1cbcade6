"""A parity.json for a person, in terminal and Markdown: the answer in a few lines, then tables."""

import math
import re
import textwrap
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from rich.table import Table

from edge_melanoma.benchmarks.parity.rules import FAIL, INCONCLUSIVE
from edge_melanoma.benchmarks.report import tables
from edge_melanoma.benchmarks.sections import ReportSection, stored_sections
from edge_melanoma.data.cards import describe_cards
from edge_melanoma.machine.markdown import table_of, template_environment, text_of
from edge_melanoma.machine.terminal import next_lines

TEMPLATES = Path(__file__).parent / "templates"
EXAMPLES_SHOWN = 5
INDENT = 10
"""Of the lines of the answer: the longest mode has eight letters."""
GLUE = "\N{NO-BREAK SPACE}"
ANSWER_WIDTH = 100
"""Of the answer's lines in a file."""
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
    return environment.get_template(name).render(**values)


def terminal_tables(parity: Parity) -> list[Table]:
    """The tables for a terminal: quality, cost, contract, then what was proved."""
    sections = [
        tables.quality_section(parity),
        tables.cost_section(parity),
        tables.rule_section(parity),
        *tables.proof_sections(parity),
    ]
    sections += [*stored_sections(parity), *map(tables.outside_section, parity["external"])]
    return [_terminal_table(section) for section in sections]


def _terminal_table(section: ReportSection) -> Table:
    table = Table(title=section.title, caption=section.note)
    for number, column in enumerate(section.columns):
        table.add_column(column, justify="right" if number else "left")
    for cells in section.rows:
        table.add_row(*cells)
    return table


def render_markdown(parity: Parity) -> str:
    """The answer, the tables, the flips and the failures as Markdown, fit for a pull request."""
    return render_template(
        "parity.md.j2",
        answer=describe_answer(parity, width=ANSWER_WIDTH),
        verdict=describe_verdict(parity),
        summary=tables.describe_report(parity),
        proof=describe_proof(parity),
        quality=tables.quality_section(parity),
        cost=tables.cost_section(parity),
        models=[parity["reference"], *parity["candidates"]],
        outside=[tables.outside_section(outside) for outside in parity["external"]],
        notes=describe_notes(parity),
        sections=[
            tables.rule_section(parity),
            *tables.proof_sections(parity),
            tables.interval_section(parity),
            *stored_sections(parity),
        ],
    )


def describe_notes(parity: Parity) -> list[str]:
    """A line for each failure, loss and tie, each data set's card, and each own threshold."""
    blocks = [parity["dataset"], *(outside["dataset"] for outside in parity["external"])]
    cards = [line for block in blocks for line in describe_cards(block)]
    text = render_template("notes.txt.j2", parity=parity, cards=cards, shown=EXAMPLES_SHOWN)
    return text.splitlines()


def describe_verdict(parity: Parity) -> str:
    """The worst verdict, of which files, and how many checks have it, in a line."""
    candidates = parity["candidates"]
    checks = [check["verdict"] for candidate in candidates for check in candidate["checks"]]
    for verdict, told in ((FAIL, "missed"), (INCONCLUSIVE, "open")):
        modes = [one["mode"] for one in candidates if one["verdict"] == verdict]
        if modes:
            count = f"{checks.count(verdict)} of {len(checks)} checks {told}"
            return f"{verdict.capitalize()}: {', '.join(modes)}; {count}"
    return f"Pass: {len(checks)} checks of {len(candidates)} exported models"


def describe_proof(parity: Parity) -> str:
    """What this number of images can prove of recall, at the flips of the candidate with most."""
    candidate = max(parity["candidates"], key=lambda one: one["proof"]["recall"]["discordance"])
    return describe_limits(candidate["proof"]["recall"])


def describe_limits(limits: Mapping[str, Any]) -> str:
    """What so many malignant images can prove, from `proof_limits`, in words."""
    flips, margin = limits["discordance"], limits["margin"]
    bound, needed = limits["smallest_margin_without_flips"], limits["needed_without_flips"]
    told = (
        f"{limits['pairs']:,} malignant images cannot exclude a recall drop below {bound:.2%}, "
        f"even if nothing flips"
    )
    if not flips:
        return f"{told}. To exclude {margin:.2%} takes {needed:,} without flips."
    return (
        f"{told}, nor one below {limits['smallest_margin_at_discordance']:.2%} if {flips:.2%} of "
        f"them flip, for better and worse alike. To exclude {margin:.2%} takes {needed:,} without "
        f"flips, {limits['needed_at_discordance']:,} at this rate of flips, and "
        f"{limits['needed_for_80_percent_power']:,} to succeed four times in five."
    )


def describe_answer(parity: Parity, *, width: int) -> list[str]:
    """Lines of at most `width` columns; best is recall, then size.

    A line is broken between two facts, and inside one only where it alone is too long.
    """
    ordered = sorted(
        parity["candidates"], key=lambda one: (-one["metrics"]["recall"], one["size_bytes"])
    )
    lines = []
    for candidate in ordered:
        block = [line for facts in _facts(candidate, parity) for line in _broken(facts, width)]
        lines += [f"{candidate['mode']:<{INDENT}}{block[0]}"]
        lines += [" " * INDENT + line for line in block[1:]]
    return lines


def describe_next(parity: Parity, *, run: Path, page: Path) -> list[str]:
    """Where the page is and what to do with the run, each in a line that can be pasted whole."""
    verdicts = {one["mode"]: one["verdict"] for one in parity["candidates"]}
    usable = [mode for mode in ("int8-qat", "int8") if verdicts.get(mode, FAIL) != FAIL]
    if usable:
        is_other = usable[0] == "int8" and "int8-qat" in verdicts
        command = ["android", run, *(("--mode", "int8") if is_other else ())]
    elif "int8" not in verdicts or "int8-qat" not in verdicts:
        command = ["export", run, "--quantize", "int8-qat" if "int8" in verdicts else "int8"]
    else:
        command = ["bench", run, "--full"]
    return next_lines(page, command=command, word="Report")


def _facts(candidate: Parity, parity: Parity) -> Iterator[list[str]]:
    """The facts of each line."""
    reference, flips = parity["reference"], candidate["flips"]
    lost = flips["lost_malignant"]
    size = f"{candidate['size_bytes'] / 1e6:.2f} MB"
    smaller = _ratio(reference["size_bytes"] / candidate["size_bytes"], "smaller", "larger")
    yield [f"{candidate['verdict'].upper()} ", f"{size} ({smaller}) ", *_speed(candidate, parity)]
    before, after = (_share(one["metrics"]["recall"]) for one in (reference, candidate))
    yield [
        f"recall {before} -> {after}: {lost} malignant picture{'' if lost == 1 else 's'} lost,",
        f"{flips['gained_malignant']} gained of {parity['dataset']['malignant']:,};",
        f"{math.floor(candidate['agreement'] * 1000 + 1e-9) / 10:.1f} % equal decisions",
    ]
    if answers := candidate.get("decisions"):
        yield [
            f"three answers: {answers['lost']} malignant moved towards not flagged,",
            f"{answers['gained']} away from it; {_share(answers['agreement'])} equal,",
            f"{_share(answers['answered']['candidate'])} answered",
        ]
    for found in parity.get("stability", {}).get("models", ()):
        if found["mode"] == candidate["mode"]:
            yield [
                f"phone pipelines change {found['changed']:.1%} of decisions,",
                f"at worst {found['worst_changed']:.1%} ({found['worst']})",
            ]
    # Rounded up: what is said to be excluded is.
    points = math.ceil(candidate["tests"]["recall_drop_upper95"] * 1000 - 1e-9) / 10
    above = f" above {points:.1f} points" if points > 0 else ""
    yield [f"a recall drop{above} is excluded (95 %)"]
    if (epoch := candidate.get("best_epoch")) is not None:
        yield [f"epoch {epoch} kept" if epoch else "not tuned: no epoch was better than the start"]
    for sentence in candidate["failures"]:
        yield [f"fails: {sentence}"]
    for sentence in candidate[INCONCLUSIVE]:
        yield [f"open: {sentence}"]


def _speed(candidate: Parity, parity: Parity) -> list[str]:
    """Against the network, and against the float file where that is another one."""
    times = candidate["latency_ms"]
    if times is None:
        return ["not timed"]
    models = {one["mode"]: one["latency_ms"] for one in parity["candidates"]}
    others = {"Keras": parity["reference"]["latency_ms"], "float32": models.get("float32")}
    told, last = [], None
    for name, other in others.items():
        if other is None or candidate["mode"] == name:
            continue
        ratio, word = _ratio(other["p50"] / times["p50"], "faster", "slower").split(" ")
        told.append(f"{ratio} than {name}" if word == last else f"{ratio} {word} than {name}")
        last = word
    threads = f"{times['threads']} thread{'' if times['threads'] == 1 else 's'}"
    busy = ", on a busy machine" if times["contaminated"] else ""
    compared = f"{', '.join(told)}; " if told else ""
    text = f"{times['p50']:.1f} ms ({compared}{threads}{busy})"
    return re.split(r"(?<=[,;]) ", text)


def _ratio(ratio: float, more: str, less: str) -> str:
    return f"{ratio:.1f}x {more}" if ratio >= 1 else f"{1 / ratio:.1f}x {less}"


def _share(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def _broken(facts: list[str], width: int) -> list[str]:
    """What is too long for a line is broken at its blanks, but not between number and unit."""
    room = max(width - INDENT, 20)
    glued = [re.sub(r" " if len(fact) <= room else r"(?<=\d) ", GLUE, fact) for fact in facts]
    lines = textwrap.wrap(" ".join(glued), room, break_long_words=False, break_on_hyphens=False)
    return [line.replace(GLUE, " ").rstrip() for line in lines]
