"""The table of clients in a bundle's README, from what `make clients` found.

    python benchmarks/measurements/client_table.py ROWS.json... --bundle android_assets

Each file holds a list of rows, one a client and model. They are put together into clients.json of
the bundle, with the date, the machine and the hashes of the models that the clients ran.
"""

import argparse
import datetime
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from readme import update_readme

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.environment import cpu_name
from edge_melanoma.machine.files import read_json, write_json
from edge_melanoma.machine.markdown import table_of, text_of

MODEL_INFO = Path("app/src/main/assets/model_info.json")
COLUMNS = ("client", "version", "input", "pictures", "outputs", "decisions changed", "note")
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


def main() -> None:
    """Write clients.json and the README's table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("rows", nargs="+", type=Path)
    parser.add_argument("--bundle", type=Path, default=Path("android_assets"))
    options = parser.parse_args()
    told = collect_rows(options.rows, bundle=options.bundle)
    write_json(options.bundle / "clients.json", told)
    lines = render_clients(told)
    print("\n".join(lines))
    update_readme(options.bundle / "README.md", name="clients", lines=lines)


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
    return [*table_of(COLUMNS, rows), "", made]


def _cells(row: Mapping[str, Any]) -> Iterator[str]:
    yield from (text_of(row[name]) for name in ("client", "version", "input", "pictures"))
    differing = row["pictures"] - row["equal"]
    steps = row["largest_difference_steps"]
    yield "all equal" if not differing else f"{differing} differ, by at most {steps} steps"
    yield text_of(row["decision_flips"])
    yield text_of(row["note"])


if __name__ == "__main__":
    main()
