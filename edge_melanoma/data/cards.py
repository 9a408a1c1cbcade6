"""A data set's card: where its pictures come from, and what "malignant" means there."""

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import edge_melanoma
from edge_melanoma.data.lesions import LesionRecord, count_classes
from edge_melanoma.data.splits import fingerprint_of
from edge_melanoma.errors import EdgeMelanomaError

CARD = "dataset.toml"
SHIPPED_CARDS = Path(edge_melanoma.__file__).parent / "benchmarks" / "cards"
"""Of the public sets that the results were measured on: <name of the folder>.toml."""

REQUIRED = ("name", "source", "licence", "geometry", "label_definition")
OPTIONAL = ("url", "doi", "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetCard:
    """What a person must know of a data set before believing a figure that was measured on it.

    `geometry` says how the pictures were brought to their size ("centre crop", "whole frame
    squashed"), `label_definition` what is counted as malignant; `file` is the card's own name.
    """

    name: str
    source: str
    licence: str
    geometry: str
    label_definition: str
    url: str | None = None
    doi: str | None = None
    note: str | None = None
    file: str = CARD

    def as_dict(self) -> dict[str, str | None]:
        """For evaluation.json and parity.json."""
        return asdict(self)


def find_card(folder: Path) -> DatasetCard | None:
    """The card of the data set at `folder`, or none.

    Looked for as `dataset.toml` in the folder; where that cannot be written, as
    `<folder>.dataset.toml` beside it, or beside a link to it; last among the cards of the package,
    by the folder's name.

    Raises:
        EdgeMelanomaError: the first card that is found cannot be used.
    """
    real = folder.resolve()
    for place in (folder.absolute(), real):
        for path in (place / CARD, place.parent / f"{place.name}.{CARD}"):
            if path.is_file():
                return read_card(path)
    shipped = SHIPPED_CARDS / f"{real.name}.toml"
    return read_card(shipped) if shipped.is_file() else None


def read_card(path: Path) -> DatasetCard:
    """A card from a TOML file with the keys of `DatasetCard`, each a text.

    Raises:
        EdgeMelanomaError: no TOML, an unknown or a missing key, or a value that is no text.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EdgeMelanomaError(
            f"The data set card {path} is not a readable TOML file: {error}."
        ) from error
    known = [field.name for field in fields(DatasetCard) if field.name != "file"]
    for key, value in content.items():
        if key not in known:
            nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]
            raise EdgeMelanomaError(
                f"The data set card {path} has the unknown key '{key}'; did you mean '{nearest}'?"
            )
        if not isinstance(value, str) or not value.strip():
            raise EdgeMelanomaError(
                f"The data set card {path} gives {key} the value {value!r}; "
                f"expected a text in quotes."
            )
    missing = [key for key in REQUIRED if key not in content]
    if missing:
        raise EdgeMelanomaError(
            f"The data set card {path} lacks {', '.join(missing)}; expected {', '.join(REQUIRED)}, "
            f"and if you like {', '.join(OPTIONAL)}."
        )
    return DatasetCard(**content, file=path.name)


def describe_cards(dataset: Mapping[str, Any]) -> list[str]:
    """A line for each card of a dataset block of evaluation.json or parity.json."""
    cards = dataset.get("cards") or {dataset["name"]: dataset.get("card")}
    unknown = f"no data set card ({CARD}): source, licence and label definition unknown"
    return [f"{name}: {_text_of(card) if card else unknown}" for name, card in cards.items()]


def _text_of(card: Mapping[str, str | None]) -> str:
    place = f" (doi:{card['doi']})" if card["doi"] else ""
    return (
        f"{card['source']}{place}; licence: {card['licence']}; {card['geometry']}; "
        f"{card['label_definition']}"
    )


def describe_dataset(
    name: str,
    records: Sequence[LesionRecord],
    *,
    card: DatasetCard | Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What a figure was measured on; `card` as it was read, or as a file of a run has it."""
    benign, malignant = count_classes(tuple(records))
    return {
        "name": name,
        "images": len(records),
        "benign": benign,
        "malignant": malignant,
        "fingerprint": fingerprint_of({name: records}),
        "card": card.as_dict() if isinstance(card, DatasetCard) else card,
    }
