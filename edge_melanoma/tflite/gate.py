"""Whether a picture is one that a model can judge: what its second output is held against.

The output holds the picture's place among the training pictures, in whitened components. Its
distance is the sum of their squares, the last few counting only where they are above 0. In an int8
file that is a sum of integers, which every client gets to the last bit.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, NotRequired, TypedDict

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.schemas import Count
from edge_melanoma.tflite.quantization import GATE_NAME, TensorQuantization

STEP = 0.25
"""Of its integers, in standard deviations of the training pictures: they reach to 32."""

RULE = (
    "distance = scale x scale x the sum of (q - zero_point) squared, the last one_sided of them "
    "only where q is above zero_point; the picture is judged where distance is at most limit"
)


class GateBlock(TypedDict):
    """The block `gate` of a run, which has its components, and of a file, which has its shape."""

    components: NotRequired[Annotated[int, Meta(ge=1, le=1280)]]
    shape: NotRequired[Annotated[list[Count], Meta(min_length=1, max_length=4)]]
    one_sided: Annotated[int, Meta(ge=0, le=1280)]
    limit: Annotated[float, Meta(gt=0, le=1e12)]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRule:
    """How an output of `components` numbers becomes a distance, and up to which one judges."""

    components: int
    one_sided: int
    limit: float

    def distances(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of real numbers (n, components)."""
        first = self.components - self.one_sided
        sides = np.maximum(values[:, first:], 0.0)
        return np.asarray((values[:, :first] ** 2).sum(axis=1) + (sides**2).sum(axis=1))

    def describe(self, output: TensorQuantization) -> dict[str, Any]:
        """For manifests and model_info.json; `limit_integer` is for the sum of integers."""
        integer = None if output.is_float else math.floor(self.limit / output.scale**2)
        told = {"name": GATE_NAME, "shape": [1, 1, 1, self.components], **output.as_dict()}
        return told | {
            "one_sided": self.one_sided,
            "limit": self.limit,
            "limit_integer": integer,
            "rule": RULE,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Where a picture lies, and whether it is one that the model can judge."""

    distance: float
    limit: float

    @property
    def in_domain(self) -> bool:
        """Whether it is judged."""
        return self.distance <= self.limit

    def as_dict(self) -> dict[str, Any]:
        """For `predict --json`."""
        return asdict(self) | {"in_domain": self.in_domain}


def read_rule(told: Mapping[str, Any] | None, *, source: str) -> GateRule | None:
    """The rule in the block `gate` of a manifest; none where there is no block.

    Raises:
        EdgeMelanomaError: numbers that no gate has.
    """
    if told is None:
        return None
    try:
        components = int(told["components"] if "components" in told else told["shape"][-1])
        rule = GateRule(
            components=components, one_sided=int(told["one_sided"]), limit=float(told["limit"])
        )
        is_sound = 0 <= rule.one_sided < components and math.isfinite(rule.limit) and rule.limit > 0
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise _unusable(source) from error
    if not is_sound:
        raise _unusable(source)
    return rule


def _unusable(source: str) -> EdgeMelanomaError:
    return EdgeMelanomaError(
        f"The gate in {source} cannot be used: expected its number of components, of those that "
        f"are one-sided, and a limit above 0; restore it, or export the model again."
    )
