"""parity.toml: reads a contract, and writes one that the present figures keep."""

import difflib
import math
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge_melanoma.benchmarks.parity.contract import MARGIN, RULE_NAMES, Contracts, ParityContract
from edge_melanoma.errors import EdgeMelanomaError

FILE_NAME = "parity.toml"
FLAGS = ("require_full_int8",)
COUNTS = ("max_lost_malignant",)
SHARES = ("_drop", "_agreement", "_lower_bound", MARGIN)


def read_contracts(path: Path, *, modes: tuple[str, ...]) -> Contracts:
    """Contracts from a TOML file: keys of `ParityContract`, and sections named after a mode.

    A section changes what it names and takes the rest from the keys above it.

    Raises:
        EdgeMelanomaError: no such file, no TOML, an unknown key or mode, or an impossible value.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise EdgeMelanomaError(
            f"The contract {path} is not a readable TOML file: {error}."
        ) from error
    sections = {
        key: value
        for key, value in content.items()
        if isinstance(value, dict) and key not in RULE_NAMES
    }
    general = {key: value for key, value in content.items() if key not in sections}
    _refuse_impossible(general, where=f"The contract {path}", modes=modes)
    for mode, section in sections.items():
        if mode not in modes:
            raise EdgeMelanomaError(_unknown(f"The contract {path}", "section", mode, modes))
        where = f"The section [{mode}] of the contract {path}"
        _refuse_impossible(section, where=where, modes=())
    contract = ParityContract(**general)
    return Contracts(
        general=contract,
        by_mode={mode: replace(contract, **section) for mode, section in sections.items()},
        source=path.name,
    )


def _refuse_impossible(content: Mapping[str, Any], *, where: str, modes: tuple[str, ...]) -> None:
    for key, value in content.items():
        if key in modes:
            raise EdgeMelanomaError(
                f"{where} gives {key} a value; expected a section of limits, [{key}]."
            )
        if key not in RULE_NAMES:
            raise EdgeMelanomaError(_unknown(where, "key", key, (*RULE_NAMES, *modes)))
        complaint = _complaint(key, value)
        if complaint:
            raise EdgeMelanomaError(f"{where} gives {key} {complaint}")


def _unknown(where: str, kind: str, word: str, known: tuple[str, ...]) -> str:
    nearest = difflib.get_close_matches(word, known, n=1, cutoff=0.0)[0]
    return f"{where} has the unknown {kind} '{word}'; did you mean '{nearest}'?"


def _complaint(key: str, value: object) -> str | None:
    if key in FLAGS:
        return None if isinstance(value, bool) else f"neither true nor false: {value!r}."
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return f"no number: {value!r}."
    if key in COUNTS and (value < 0 or value != int(value)):
        return f"the limit {value:g}; expected a whole number, 0 or more."
    if key.endswith(MARGIN) and not 0 < value <= 1:
        return f"the limit {value:g}; expected a share above 0, up to 1."
    if key.endswith(SHARES) and not 0 <= value <= 1:
        return f"the limit {value:g}; expected a share from 0 to 1."
    return None if value >= 0 else f"the limit {value:g}; expected 0 or more."
