"""A rule of a contract: how its limit is held against a figure that chance has a part in."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import Enum, auto
from typing import Any

PASS, FAIL, INCONCLUSIVE = "pass", "fail", "inconclusive"
TOLERANCE = 1e-9
"""A drop of 0.005 computed as 0.0050000001 keeps the limit."""


class Kind(Enum):
    """How a rule's limit is held against what was measured."""

    AT_MOST = auto()
    AT_LEAST = auto()
    MARGIN = auto()
    """Passed by the upper bound of a drop, which must lie below it."""
    FLAG = auto()


class Unit(Enum):
    """What numbers a limit may be: 0 or more, up to 1, or whole."""

    AMOUNT = auto()
    SHARE = auto()
    COUNT = auto()


def never(_limit: float) -> None:
    """No number of pictures that a limit needs, where chance has no part in the figure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure that a limit is held against, and what chance leaves open about it.

    `value` must keep the limit: a drop itself for a tolerance, its bound for a margin. `lenient` is
    the end of its 95 % interval that favours the candidate, none for what has no sampling error.
    `least` gives how many `pictures` could show a limit at all, with nothing flipped, `settling`
    how many tell this figure from the limit; none where no number does. `doubt` is why a missed
    limit proves nothing, or why there is no value.
    """

    value: float | bool | None
    lenient: float | None = None
    pictures: int = 0
    of: str = "pictures"
    least: Callable[[float], int | None] = never
    settling: Callable[[float], int | None] = never
    doubt: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A rule held against a figure; `needed` pictures would settle what is inconclusive."""

    rule: str
    limit: float | bool
    measured: float | bool | None
    verdict: str
    sentence: str | None = None
    needed: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """For parity.json."""
        return {**asdict(self), "passed": self.verdict == PASS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One key of a contract.

    `figure` says a value in words, `demand` the limit, and `aim` what pictures can be too few to do
    with both. `metric` is what a margin is of.
    """

    name: str
    kind: Kind
    unit: Unit
    figure: str
    demand: str
    aim: str
    metric: str | None

    def check(self, found: Figure, limit: float | bool) -> Check:
        """The limit is missed where the whole interval misses it.

        It is kept where the value keeps it and so many pictures could show that it is kept; what
        is neither is inconclusive.
        """
        value, needed, sentence = found.value, None, None
        if value is None:
            verdict = INCONCLUSIVE if found.doubt else FAIL
            demand = self.demand.format(self._shown(limit))
            sentence = found.doubt or f"{self.name} was not measured, {demand}"
        elif not self._is_kept(value if found.lenient is None else found.lenient, limit):
            verdict, sentence = FAIL, self._failure(value, limit)
        else:
            is_kept, needed = self._is_kept(value, limit), found.least(limit)
            if is_kept and (needed is None or needed <= found.pictures):
                verdict, needed = PASS, None
            else:
                verdict = INCONCLUSIVE
                needed = needed if is_kept else found.settling(limit)
                sentence = self._question(found, limit, needed)
                if found.doubt:
                    sentence = f"{self._failure(value, limit)}, but {found.doubt}"
        return Check(
            rule=self.name,
            limit=limit,
            measured=value,
            verdict=verdict,
            sentence=sentence,
            needed=needed,
        )

    def _is_kept(self, value: float, limit: float) -> bool:
        match self.kind:
            case Kind.AT_MOST:
                return value <= limit + TOLERANCE
            case Kind.AT_LEAST:
                return value >= limit - TOLERANCE
            case Kind.MARGIN:
                return value < limit
            case Kind.FLAG:
                return bool(value)

    def _failure(self, value: float, limit: float) -> str:
        shown = self._shown(value, apart_from=limit)
        return f"{self.figure.format(shown)}, {self.demand.format(self._shown(limit))}"

    def _question(self, found: Figure, limit: float, needed: int | None) -> str:
        """Why it is open, and how many pictures would close it."""
        shown = self._shown(found.value or 0.0, apart_from=limit), self._shown(limit)
        more = f"about {_rounded_up(needed):,} would do" if needed else "no number would do"
        return f"{found.pictures:,} {found.of} are too few to {self.aim.format(*shown)}; {more}"

    def _shown(self, value: float, apart_from: float | None = None) -> str:
        """A share times 100; with as many digits as tell it from the limit."""
        if self.kind is Kind.FLAG:
            return ""
        scale = 100 if self.unit is Unit.SHARE else 1
        texts = (f"{value * scale:.{digits}g}" for digits in range(3, 12))
        other = None if apart_from is None or apart_from == value else apart_from * scale
        return next(text for text in texts if other is None or float(text) != other)

    def complaint(self, value: object) -> str | None:
        """What is wrong with a limit of a file; none where it can be meant."""
        if self.kind is Kind.FLAG:
            return None if isinstance(value, bool) else f"neither true nor false: {value!r}."
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not math.isfinite(value)
        ):
            return f"no number: {value!r}."
        if self.unit is Unit.COUNT and (value < 0 or value != int(value)):
            return f"the limit {value:g}; expected a whole number, 0 or more."
        if self.kind is Kind.MARGIN and not 0 < value <= 1:
            return f"the limit {value:g}; expected a share above 0, up to 1."
        if self.unit is Unit.SHARE and not 0 <= value <= 1:
            return f"the limit {value:g}; expected a share from 0 to 1."
        return None if value >= 0 else f"the limit {value:g}; expected 0 or more."


def _rounded_up(number: int) -> int:
    """One digit below 1,000, two above: nobody needs more of a number of pictures to collect."""
    step = int(10 ** (len(str(number)) - (1 if number < 1000 else 2)))
    return math.ceil(number / step) * step
