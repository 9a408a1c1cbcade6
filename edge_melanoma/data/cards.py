"""A data set's card: where its pictures come from, and what "malignant" means there."""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import edge_melanoma
from edge_melanoma.data.lesions import LesionRecord, count_classes
from edge_melanoma.data.splits import fingerprint_of
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.schemas import read_toml

CARD = "dataset.toml"
SHIPPED_CARDS = Path(edge_melanoma.__file__).parent / "benchmarks" / "cards"
"""Of the public sets that the results were measured on: <name of the folder>.toml."""

REQUIRED = ("name", "source", "licence", "geometry", "label_definition")
OPTIONAL = ("url", "doi", "note")

Card = Mapping[str, str | None]
"""What a person must know of a data set before believing a figure that was measured on it.

`geometry` says how the pictures were brought to their size ("centre crop", "whole frame
squashed"), `label_definition` what is counted as malignant; `file` is the card's own name.
"""


def find_card(folder: Path) -> Card | None:
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


def read_card(path: Path) -> Card:
    """A card from a TOML file with the keys of a `Card`, each a text.

    Raises:
        EdgeMelanomaError: no TOML, an unknown or a missing key, or a value that is no text.
    """
    content = read_toml(path, what="The data set card")
    known = (*REQUIRED, *OPTIONAL)
    for key, value in content.items():
        if key not in known:
            nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]
            raise _refusal(path, f"has the unknown key '{key}'; did you mean '{nearest}'?")
        if not isinstance(value, str) or not value.strip():
            raise _refusal(path, f"gives {key} the value {value!r}; expected a text in quotes.")
    if missing := [key for key in REQUIRED if key not in content]:
        expected = f"{', '.join(REQUIRED)}, and if you like {', '.join(OPTIONAL)}"
        raise _refusal(path, f"lacks {', '.join(missing)}; expected {expected}.")
    return dict.fromkeys(known) | content | {"file": path.name}


def _refusal(path: Path, why: str) -> EdgeMelanomaError:
    return EdgeMelanomaError(f"The data set card {path} {why}")


def describe_cards(dataset: Mapping[str, Any]) -> list[str]:
    """A line for each card of a dataset block of evaluation.json or parity.json."""
    cards = dataset.get("cards") or {dataset["name"]: dataset.get("card")}
    unknown = f"no data set card ({CARD}): source, licence and label definition unknown"
    return [f"{name}: {_text_of(card) if card else unknown}" for name, card in cards.items()]


def _text_of(card: Card) -> str:
    place = f" (doi:{card['doi']})" if card["doi"] else ""
    return (
        f"{card['source']}{place}; licence: {card['licence']}; {card['geometry']}; "
        f"{card['label_definition']}"
    )


def describe_dataset(
    name: str, records: Sequence[LesionRecord], *, card: Card | None = None
) -> dict[str, Any]:
    """What a figure was measured on."""
    benign, malignant = count_classes(tuple(records))
    return {
        "name": name,
        "images": len(records),
        "benign": benign,
        "malignant": malignant,
        "fingerprint": fingerprint_of({name: records}),
        "card": card,
    }
