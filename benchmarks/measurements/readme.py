"""The tables that a README shows of what other commands have left as JSON.

    python benchmarks/measurements/readme.py headline FILE... [--readme README.md]
    python benchmarks/measurements/readme.py matrix FILE... [--readme docs/evidence.md]
    python benchmarks/measurements/readme.py hazards ROWS.json... --keep FILE [--add]
    python benchmarks/measurements/readme.py clients ROWS.json... --bundle android_assets

`headline` shows some models inside and outside, each at the operating point that was chosen on
validation; a file is what `evaluate --json` wrote. `matrix` shows each one's melanomas of a source
against benign lesions of each source. `hazards` shows what was tried on purpose to
break the tool; a file holds rows, one a hazard, as the runners in tests/hazards write them. The
whole matrix takes hours: with `--add` the other rows of the kept file stay, each of its day and
machine. `clients` shows what `make clients` found, and writes clients.json of the bundle.
"""

import argparse
import datetime
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_melanoma.benchmarks.sections import Column, rows_of
from edge_melanoma.data.cards import describe_cards
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.environment import cpu_name
from edge_melanoma.machine.files import write_atomically, write_json
from edge_melanoma.machine.markdown import insert_between, table_of, text_of
from edge_melanoma.machine.schemas import read_json


def main() -> None:
    """Print the table that is asked for, and put it between the markers of a README."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    commands = parser.add_subparsers(required=True)
    for make in (headline, matrix, hazards, clients):
        name = make.__name__
        command = commands.add_parser(name, help=make.__doc__)
        command.set_defaults(make=make)
        command.add_argument("files", nargs="+", type=Path)
        command.add_argument("--readme", type=Path, help=f"Its part between the {name} markers.")
        if make is hazards:
            command.add_argument("--keep", type=Path, help="The rows, date and machine, as JSON.")
            command.add_argument("--add", action="store_true", help="To the rows of --keep FILE.")
        if make is clients:
            command.add_argument("--bundle", type=Path, default=Path("android_assets"))
    options = parser.parse_args()
    options.make(options)


def update_readme(path: Path, *, name: str, lines: list[str]) -> None:
    """Replace what stands between `<!-- name: begin -->` and `<!-- name: end -->` in a file."""
    text = "\n".join(lines) + "\n"
    write_atomically(path, insert_between(path.read_text(encoding="utf-8"), name=name, text=text))


def headline(options: argparse.Namespace) -> None:
    """Some models inside and outside, from what `evaluate --json` wrote."""
    _show("headline", render_headline([read_json(path) for path in options.files]), options.readme)


def matrix(options: argparse.Namespace) -> None:
    """Melanomas of one source against benign lesions of another, from the same files."""
    _show("matrix", render_matrix([read_json(path) for path in options.files]), options.readme)


def hazards(options: argparse.Namespace) -> None:
    """What was tried on purpose to break the tool, and what became of it.

    Raises:
        EdgeMelanomaError: `--add` without `--keep`.
    """
    if options.add and not options.keep:
        raise EdgeMelanomaError("--add needs --keep FILE; give both.")
    told = collect_hazards(options.files, kept=read_json(options.keep) if options.add else None)
    if options.keep:
        write_json(options.keep, told)
    _show("hazards", render_hazards(told), options.readme)


def clients(options: argparse.Namespace) -> None:
    """What apps and interpreters gave for the bundle's pictures."""
    told = collect_rows(options.files, bundle=options.bundle)
    write_json(options.bundle / "clients.json", told)
    _show("clients", render_clients(told), options.readme or options.bundle / "README.md")


def _show(name: str, lines: list[str], readme: Path | None) -> None:
    print("\n".join(lines))
    if readme:
        update_readme(readme, name=name, lines=lines)


def _share(name: str) -> Any:
    def cell(row: Mapping[str, Any]) -> str:
        value, bounds = row[name], row[INTERVAL_OF[name]]
        shown = f" ({bounds[0]:.3f} .. {bounds[1]:.3f})" if value is not None and bounds else ""
        return ("undefined" if value is None else f"{value:.3f}") + shown

    return cell


INTERVAL_OF = {
    "recall": "recall_interval",
    "specificity": "specificity_interval",
    "auc": "interval",
}
HEADLINE: tuple[Column, ...] = (
    ("model", "{0[model]} ({0[mode]})"),
    ("measured on", "{0[place]}"),
    ("melanomas / benign", "{0[malignant]} / {0[benign]}"),
    ("recall (95 % interval)", _share("recall")),
    ("specificity (95 % interval)", _share("specificity")),
    ("AUC (95 % interval)", _share("auc")),
    ("calibration error", lambda row: _number(row["calibration_error"])),
    ("sha256", "`{0[sha256]:.12}`"),
)
MADE_BY = (
    "Each at its own operating point, chosen on validation. Made by "
    "`python benchmarks/measurements/sources.py RUN MODEL... --external NAME=DIR` and "
    "`python benchmarks/measurements/readme.py headline FILE... --readme README.md`."
)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def render_headline(evaluations: Iterable[Mapping[str, Any]]) -> list[str]:
    """A row a model and source, then their mean, then sets from elsewhere, as lines of Markdown."""
    told = list(evaluations)
    rows = rows_of(HEADLINE, (row for evaluation in told for row in _measured(evaluation)))
    outside = {name: found for one in told for name, found in one["external"].items()}
    cards = [line for found in outside.values() for line in describe_cards(found["dataset"])]
    return [
        *table_of([head for head, _ in HEADLINE], rows),
        "",
        *(f"- {line}" for line in cards),
        "",
        MADE_BY,
    ]


def _measured(evaluation: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    model = evaluation["model"]
    told = {"model": model.get("variant", model["file"])}
    told |= {name: model[name] for name in ("mode", "sha256")}
    inside = evaluation["within_source"]
    for name, found in inside.items():
        yield {**told, **found, "place": name}
    total = {key: sum(one[key] for one in inside.values()) for key in ("malignant", "benign")}
    means = {key: evaluation[f"macro_{key}"] for key in ("recall", "specificity", "auc")}
    errors = [one["calibration_error"] for one in inside.values()]
    mean = {
        **told,
        **total,
        **means,
        "place": "mean of clinics",
        "recall_interval": None,
        "specificity_interval": None,
        "interval": evaluation["macro_auc_interval"],
        "calibration_error": sum(errors) / len(errors),
    }
    yield mean
    for name, external in evaluation["external"].items():
        for found in external["within_source"].values():
            yield {**told, **found, "place": f"outside: {name}"}


def render_matrix(evaluations: Iterable[Mapping[str, Any]]) -> list[str]:
    """A row a model and source of melanomas, a column a source of benign lesions."""
    told = list(evaluations)
    benign = list(
        dict.fromkeys(b for one in told for r in one["source_matrix"].values() for b in r)
    )
    rows = [
        [
            f"{one['model'].get('variant', one['model']['file'])} ({one['model']['mode']})",
            name,
            *(f"{row[other]:.3f}" if other in row else "" for other in benign),
        ]
        for one in told
        for name, row in one["source_matrix"].items()
    ]
    head = ["model", "AUC of melanomas of", *(f"against benign of {name}" for name in benign)]
    return [*table_of(head, rows), "", MADE_BY.replace("headline", "matrix")]


HAZARD_COLUMNS = ("hazard", "tried", "survived", "lost", "note")


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
    return {"schema": 1, "rows": list((earlier | fresh).values())}


def render_hazards(told: Mapping[str, Any]) -> list[str]:
    """The table as lines of Markdown, and what made it."""
    rows = [[text_of(row[name]) for name in HAZARD_COLUMNS] for row in told["rows"]]
    counts = Counter((row["machine"], row["date"]) for row in told["rows"])
    made = "; ".join(f"{count} on {machine}, {date}" for (machine, date), count in counts.items())
    return [*table_of(HAZARD_COLUMNS, rows), "", f"Made by `make hazards`; rows: {made}."]


def _put_together(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """`one`, with what was tried in `other` too."""
    counts = {name: one[name] + other[name] for name in ("tried", "survived", "lost")}
    return {**one, **counts, "note": f"{one['note']}; {other['note']}"}


def _read_rows(path: Path) -> list[dict[str, Any]]:
    try:
        rows: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EdgeMelanomaError(f"{path} is not readable; run make hazards.") from error
    if not isinstance(rows, list) or any(set(HAZARD_COLUMNS) != {*row} for row in rows):
        raise EdgeMelanomaError(f"{path} holds no rows of hazards; run make hazards.")
    for row in rows:
        if row["tried"] != row["survived"] + row["lost"]:
            raise EdgeMelanomaError(f"{path}: '{row['hazard']}' does not add up.")
    return rows


MODEL_INFO = Path("app/src/main/assets/model_info.json")
CLIENT_COLUMNS = ("client", "version", "input", "pictures", "outputs", "decisions changed", "note")
FIELDS = frozenset(
    {
        "client",
        "version",
        "input",
        "pictures",
        "equal",
        "largest_difference_steps",
        "decision_flips",
        "note",
    }
)


def collect_rows(files: Sequence[Path], *, bundle: Path) -> dict[str, Any]:
    """The content of clients.json.

    Raises:
        EdgeMelanomaError: a file holds something else than rows.
    """
    rows = []
    for path in files:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, list) or any(set(row) != FIELDS for row in found):
            raise EdgeMelanomaError(f"{path} holds no rows of a client; run make clients.")
        rows += found
    models = read_json(bundle / MODEL_INFO)["models"]
    return {
        "schema": 1,
        "date": datetime.date.today().isoformat(),
        "machine": cpu_name(),
        "models": {model["file"]: model["sha256"] for model in models},
        "rows": rows,
    }


def render_clients(told: Mapping[str, Any]) -> list[str]:
    """The table as lines of Markdown, and what it was made with."""
    rows = [list(_cells(row)) for row in told["rows"]]
    models = ", ".join(f"{file} `{sha256[:12]}`" for file, sha256 in told["models"].items())
    made = (
        f"Against Python with LiteRT and XNNPACK on {told['machine']}, {told['date']}; one output "
        f"step is 1/256. {models}. Made by `make clients`."
    )
    return [*table_of(CLIENT_COLUMNS, rows), "", made]


def _cells(row: Mapping[str, Any]) -> Iterator[str]:
    yield from (text_of(row[name]) for name in ("client", "version", "input", "pictures"))
    differing = row["pictures"] - row["equal"]
    steps = row["largest_difference_steps"]
    yield "all equal" if not differing else f"{differing} differ, by at most {steps} steps"
    yield text_of(row["decision_flips"])
    yield text_of(row["note"])


if __name__ == "__main__":
    main()
