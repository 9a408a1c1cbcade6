"""parity.toml: a contract read from it, and one written that the present run keeps.

What is drafted has room for what chance changes in another export.
"""

import difflib
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge_melanoma.benchmarks.parity.contract import RULES, Contracts, ParityContract
from edge_melanoma.benchmarks.parity.rules import FAIL, PASS
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.schemas import read_toml
from edge_melanoma.tflite.modes import Mode

FILE_NAME = "parity.toml"
ON_INCONCLUSIVE = "on_inconclusive"
MODES = tuple(mode.value for mode in Mode)
HEADER = """\
# What an exported model may lose against its network. Checked by: edge-melanoma bench
# Drafted from {what}.
# Each limit has room above the figure behind it: one standard error of the paired drop, and at
# least what so many images can show. Tighten what matters to you; a key may also stand above the
# sections, for all.
# A margin is held against the upper bound of the drop: it must be set before the next measurement.
"""
TIMES = ("max_p90_ms", "max_latency_ratio")
NO_TIMES = """\
# No limits of time: other load had the processor. Draft again on a quiet machine to have them.
"""
SIZE_ROOM, TIME_ROOM = 1.02, 2.0
"""Sizes repeat to the byte but for other tool versions; machines differ in speed by twice."""
ROUNDING = 1e-6
"""Of the fourth digit: 0.06 that came out as 0.0600000001 stays 0.06."""

Parity = Mapping[str, Any]


def find_contract() -> Path | None:
    """parity.toml in the present folder, if there is one."""
    path = Path(FILE_NAME)
    return path if path.is_file() else None


def read_contracts(path: Path) -> Contracts:
    """Contracts from a TOML file: keys of `ParityContract`, and sections named after a mode.

    A section changes what it names and takes the rest from the keys above it; `on_inconclusive`
    stands above all of them.

    Raises:
        EdgeMelanomaError: no such file, no TOML, an unknown key or mode, or an impossible value.
    """
    content = read_toml(path, what="The contract")
    sections = {
        key: value for key, value in content.items() if isinstance(value, dict) and key not in RULES
    }
    general = {key: value for key, value in content.items() if key not in sections}
    on_inconclusive = general.pop(ON_INCONCLUSIVE, PASS)
    if on_inconclusive not in (PASS, FAIL):
        raise EdgeMelanomaError(
            f"The contract {path} gives {ON_INCONCLUSIVE} the value {on_inconclusive!r}; expected "
            f'"{PASS}" or "{FAIL}".'
        )
    _refuse_impossible(general, where=f"The contract {path}", modes=MODES)
    for mode, section in sections.items():
        if mode not in MODES:
            raise EdgeMelanomaError(_unknown(f"The contract {path}", "section", mode, MODES))
        where = f"The section [{mode}] of the contract {path}"
        _refuse_impossible(section, where=where, modes=())
    contract = ParityContract(**general)
    return Contracts(
        general=contract,
        by_mode={mode: replace(contract, **section) for mode, section in sections.items()},
        on_inconclusive=on_inconclusive,
        source=path.name,
    )


def draft_contract(parity: Parity) -> str:
    """parity.toml with a section a candidate; the figures are commented with what was measured."""
    data = parity["dataset"]
    # A name must not end the comment that it stands in.
    name = "".join(sign if sign.isprintable() else "?" for sign in data["name"])
    what = (
        f"{name}: {data['images']} images, {data['malignant']} malignant, "
        f"threshold {parity['threshold']['reference']:.4f}"
    )
    noisy = parity["machine"]["contaminated"]
    sections = [_section(candidate, data, noisy=noisy) for candidate in parity["candidates"]]
    header = HEADER.format(what=what) + (NO_TIMES if noisy else "")
    return "\n".join([header, *sections])


def _refuse_impossible(content: Mapping[str, Any], *, where: str, modes: tuple[str, ...]) -> None:
    for key, value in content.items():
        if key in modes:
            raise EdgeMelanomaError(
                f"{where} gives {key} a value; expected a section of limits, [{key}]."
            )
        if key not in RULES:
            raise EdgeMelanomaError(_unknown(where, "key", key, (*RULES, *modes)))
        complaint = RULES[key].complaint(value)
        if complaint:
            raise EdgeMelanomaError(f"{where} gives {key} {complaint}")


def _unknown(where: str, kind: str, word: str, known: tuple[str, ...]) -> str:
    nearest = difflib.get_close_matches(word, known, n=1, cutoff=0.0)[0]
    return f"{where} has the unknown {kind} '{word}'; did you mean '{nearest}'?"


def _section(candidate: Parity, data: Parity, *, noisy: bool) -> str:
    limits = _quality_limits(candidate, data) | _cost_limits(candidate)
    lines = [
        (f"{key} = {value}", measured)
        for key, (value, measured) in limits.items()
        if not (noisy and key in TIMES)
    ]
    width = max(len(line) for line, _ in lines)
    told = [f"{line:<{width}}  # measured {measured}" for line, measured in lines]
    return "\n".join([f"[{candidate['mode']}]", *told, ""])


def _quality_limits(candidate: Parity, data: Parity) -> dict[str, tuple[str, str]]:
    drop, flips, images = candidate["drop"], candidate["flips"], data["images"]
    lost, gained = flips["lost_malignant"], flips["gained_malignant"]
    flipped = sum(flips.values())
    recall_room = _room(lost + gained, data["malignant"])
    low = candidate["intervals"]["recall"][0]
    # What so many images can show at all: no limit below it is ever found to be kept.
    recall_least, accuracy_least = (
        candidate["proof"][name]["smallest_margin_without_flips"] for name in ("recall", "accuracy")
    )
    bound = candidate["tests"]["noninferiority"]["recall"]["upper95"]
    area = {}
    if auc_interval := candidate["drop_intervals"]["auc"]:
        # Half of a 95 % interval is 1.96 standard errors; the last digit is the least room.
        auc_room = max((auc_interval[1] - auc_interval[0]) / 2 / 1.96, 1e-4)
        area = {"max_auc_drop": _most(drop["auc"], auc_room)}
    return {
        "max_recall_drop": _most(drop["recall"], recall_room, least=recall_least),
        "max_lost_malignant": (str(lost + max(1, math.isqrt(lost))), str(lost)),
        "min_recall_lower_bound": _least(low, recall_room),
        "recall_noninferiority_margin": _most(bound, 1 / data["malignant"]),
        "max_accuracy_drop": _most(drop["accuracy"], _room(flipped, images), least=accuracy_least),
        **area,
        "min_agreement": _least(
            candidate["agreement"], _room(flipped, images), most=1 - accuracy_least
        ),
    }


def _cost_limits(candidate: Parity) -> dict[str, tuple[str, str]]:
    size = candidate["size_bytes"] / 1e6
    limits = {"max_size_mb": (_up(size * SIZE_ROOM), f"{size:.4f}")}
    times, ratio = candidate["latency_ms"], candidate["latency_ratio"]
    if times is not None:
        limits["max_p90_ms"] = (_up(times["p90"] * TIME_ROOM), f"{times['p90']:.2f}")
    if ratio is not None:
        limits["max_latency_ratio"] = (_up(ratio * TIME_ROOM), f"{ratio:.3f}")
    if candidate["full_int8"]:
        limits["require_full_int8"] = ("true", "true")
    return limits


def _room(flipped: int, pairs: int) -> float:
    """A standard error of the drop of a share with that many flips, one image at least."""
    return max(1.0, math.sqrt(flipped)) / pairs


def _most(measured: float, room: float, *, least: float = 0.0) -> tuple[str, str]:
    """An upper limit, rounded up; a candidate that is better than its reference gets room too."""
    limit = math.ceil(max(max(measured, 0.0) + room, least) * 1e4 - ROUNDING) / 1e4
    return f"{min(limit, 1.0):.4f}", f"{measured:.4f}"


def _least(measured: float, room: float, *, most: float = 1.0) -> tuple[str, str]:
    limit = math.floor(min(measured - room, most) * 1e4 + ROUNDING) / 1e4
    return f"{max(limit, 0.0):.4f}", f"{measured:.4f}"


def _up(limit: float) -> str:
    return f"{math.ceil(limit * 100) / 100:.2f}"
