"""The affine map between real numbers and the integers of a quantised tensor."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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

    def pixel_table(self) -> NDArray[np.generic]:
        """What each grey level 0..255, scaled to 0..1, becomes at this tensor: 256 entries.

        One table, built in float64, gives the same integers in every language and on every machine.
        """
        if self.is_float:
            levels = np.arange(256, dtype=np.float32) / np.float32(255.0)
            return levels.astype(self.dtype)
        return self.quantize(np.arange(256, dtype=np.float64) / 255.0)

    def as_dict(self) -> dict[str, object]:
        """For manifests."""
        return {"dtype": self.dtype, "scale": self.scale, "zero_point": self.zero_point}
