"""The affine map between real numbers and a quantised tensor's integers, and scores through it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LOGIT_NAME, SCORE_NAME = "logit", "p_malignant"
"""What a file's signature calls its output: a sigmoid is still to come, or P(malignant) itself."""

MAP_NAME = "class_activation_map"
"""What it calls a second output (1, 7, 7), in units of the logit: where it looked."""

GATE_NAME = "gate"
"""And another, by which a picture that cannot be judged is told; see `gate`."""

HALF = 0.5 + 1e-6
"""And what the scale's float32 may lack."""

FLOAT_STEP = 1e-5
"""How far beyond 0..1 a sigmoid in float16 or float32 may round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorQuantization:
    """real = (integer - zero_point) * scale; a float tensor has the scale 0."""

    dtype: str
    scale: float
    zero_point: int

    @property
    def is_float(self) -> bool:
        """True where values pass unchanged."""
        return self.dtype.startswith("float")

    def quantize(self, values: NDArray[np.float64]) -> NDArray[np.generic]:
        """Round half to even, then clip to the integer type's range; in float64 throughout."""
        dtype = np.dtype(self.dtype)
        if self.is_float:
            return values.astype(dtype)
        limits = np.iinfo(dtype)
        integers = np.round(values / self.scale) + self.zero_point
        return integers.clip(limits.min, limits.max).astype(dtype)

    def dequantize(self, values: NDArray[np.generic]) -> NDArray[np.float64]:
        """The real numbers, in float64."""
        numbers = values.astype(np.float64)
        return numbers if self.is_float else (numbers - self.zero_point) * self.scale

    def pixel_table(self, *, black: float = 0.0, white: float = 1.0) -> NDArray[np.generic]:
        """What each grey level 0..255, scaled to these ends, becomes at this tensor: 256 entries.

        One table, built in float64, gives the same integers in every language and on every machine.
        In -1..1 every level lies half-way between two integers: there the upper one is taken, or
        each second level would be lost.
        """
        levels = black + np.arange(256, dtype=np.float64) * (white - black) / 255.0
        if self.is_float or black == 0:
            return self.quantize(levels)
        return self.quantize((np.floor(levels / self.scale + HALF)) * self.scale)

    def as_dict(self) -> dict[str, object]:
        """For manifests."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreTensor:
    """A classifier's output tensor; by its name alone a logit is told from P(malignant)."""

    name: str
    quantization: TensorQuantization

    @property
    def is_logit(self) -> bool:
        """Whether its real numbers are logits."""
        return self.name == LOGIT_NAME

    def scores(self, values: NDArray[np.generic]) -> NDArray[np.float64]:
        """P(malignant) of what the tensor holds, in float64."""
        numbers = self.quantization.dequantize(values)
        if self.is_logit:
            return sigmoid(numbers)
        # The integer grid of some converters reaches beyond 1 by less than one step.
        return numbers.clip(0.0, 1.0)

    def holds_score(self, values: NDArray[np.generic]) -> bool:
        """Whether these are numbers, and within 0..1 up to rounding where they are no logits."""
        numbers = self.quantization.dequantize(values)
        if self.is_logit:
            return bool(np.all(np.isfinite(numbers)))
        step = FLOAT_STEP if self.quantization.is_float else self.quantization.scale
        return bool(np.all((numbers >= -step) & (numbers <= 1 + step)))

    def nearest_score(self, probability: float) -> float:
        """The score of the tensor's value that `probability` is rounded to.

        An integer tensor cannot tell the two apart; a logit is rounded as a logit, and what is
        beyond the integers is the last of them. For a float tensor it is `probability` itself.
        """
        if self.quantization.is_float:
            return probability
        wanted = np.array([probability])
        values = self.quantization.quantize(logit(wanted) if self.is_logit else wanted)
        # By the way that scores go, so that equal integers have equal scores to the last bit.
        return float(self.scores(values)[0])


def score_tensor_of(manifest: Mapping[str, Any]) -> ScoreTensor | None:
    """The output tensor as an export's manifest has it; none without a manifest."""
    if "output" not in manifest:
        return None
    output = manifest["output"]
    numbers = {name: output[name] for name in ("dtype", "scale", "zero_point")}
    return ScoreTensor(name=output["name"], quantization=TensorQuantization(**numbers))


def sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """P of a logit, without overflow for any number."""
    small = np.exp(-np.abs(logits))
    return np.where(logits < 0, small, 1.0) / (1.0 + small)


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """The probabilities of classes (n,), which sum to 1, without overflow for any number."""
    powers = np.exp(logits - logits.max())
    return np.asarray(powers / powers.sum())


def logit(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of `sigmoid`; 0 and 1 have infinite logits, and so has what lies beyond them."""
    within = probabilities.clip(0.0, 1.0)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(within) - np.log1p(-within))
