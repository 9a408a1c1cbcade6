"""The table of hazards: what was tried on purpose to break the tool, and what became of it.

    python benchmarks/measurements/hazard_table.py ROWS.json... --keep FILE --readme README.md
    python benchmarks/measurements/hazard_table.py ROWS.json... --keep FILE --add --readme README.md

Each file holds a list of rows, one a hazard, as the runners in tests/hazards write them; rows of
one hazard in several files, one a way of interrupting, are put together. The whole matrix takes
hours: with `--add` the other rows of the kept file stay, each of its day and machine.
"""

import argparse
import datetime
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from readme import update_readme

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.environment import cpu_name
from edge_melanoma.machine.files import read_json, write_json
from edge_melanoma.machine.markdown import table_of, text_of

COLUMNS = ("hazard", "tried", "survived", "lost", "note")


def main() -> None:
    """Put the rows together and show them in the README."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("rows", nargs="+", type=Path)
    parser.add_argument("--keep", type=Path, help="The rows with their date and machine, as JSON.")
    parser.add_argument("--add", action="store_true", help="To the rows that --keep FILE holds.")
    parser.add_argument("--readme", type=Path, help="Its part between the hazards markers.")
    options = parser.parse_args()
    if options.add and not options.keep:
        parser.error("--add needs --keep FILE")
    told = collect_hazards(options.rows, kept=read_json(options.keep) if options.add else None)
    lines = render_hazards(told)
    print("\n".join(lines))
    if options.keep:
        write_json(options.keep, told)
    if options.readme:
        update_readme(options.readme, name="hazards", lines=lines)


def collect_hazards(
    files: Sequence[Path], *, kept: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The rows of all files, with the day and the machine, in place of the same hazards' in `kept`.

    Rows of the same hazard become one that counts them all.

    Raises:
        EdgeMelanomaError: a file is missing or holds something else, or a row does not add up.
    """
    made = {"date": datetime.date.today().isoformat(), "machine": cpu_name()}
    fresh: dict[str, dict[str, Any]] = {}
    for row in (row for path in files for row in _read_rows(path)):
        name = row["hazard"]
        fresh[name] = _put_together(fresh[name], row) if name in fresh else row | made
    earlier = {row["hazard"]: row for row in kept["rows"]} if kept else {}
    return {"schema": 2, "rows": list((earlier | fresh).values())}


def render_hazards(told: Mapping[str, Any]) -> list[str]:
    """The table as lines of Markdown, and what made it."""
    rows = [[text_of(row[name]) for name in COLUMNS] for row in told["rows"]]
    counts = Counter((row["machine"], row["date"]) for row in told["rows"])
    made = "; ".join(f"{count} on {machine}, {date}" for (machine, date), count in counts.items())
    return [*table_of(COLUMNS, rows), "", f"Made by `make hazards`; rows: {made}."]


def _put_together(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """`one`, with what was tried in `other` too."""
    counts = {name: one[name] + other[name] for name in ("tried", "survived", "lost")}
    return {**one, **counts, "note": f"{one['note']}; {other['note']}"}


def _read_rows(path: Path) -> list[dict[str, Any]]:
    try:
        rows: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EdgeMelanomaError(f"{path} is not readable; run make hazards.") from error
    if not isinstance(rows, list) or any(set(COLUMNS) != {*row} for row in rows):
        raise EdgeMelanomaError(f"{path} holds no rows of hazards; run make hazards.")
    for row in rows:
        if row["tried"] != row["survived"] + row["lost"]:
            raise EdgeMelanomaError(f"{path}: '{row['hazard']}' does not add up.")
    return rows


if __name__ == "__main__":
    main()
