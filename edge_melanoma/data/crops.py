"""What of a picture is resized for the network."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # The command line names the crops in its help, and starts without NumPy.
    import numpy as np
    from numpy.typing import NDArray


class Crop(StrEnum):
    """What of the upright frame is resized; bundles of models record it."""

    NONE = "none"
    CENTRE = "centre"

    def apply(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A picture (height, width, 3), or its largest centred square.

        The square begins at floor((longer - shorter) / 2) of the longer side.
        """
        if self is Crop.NONE:
            return pixels
        height, width = pixels.shape[:2]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        return pixels[top : top + side, left : left + side]
