"""An exponential average of a network's weights, steadier than the weights of any one step."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.network.network import arrays_of, assign_arrays

UPDATE_INTERVAL = 10
"""Steps between two updates: the average moves by whole epochs, copies cost milliseconds."""


class WeightAverage:
    """Averages all weights of `network`, the batch-norm statistics among them.

    `decay` is that of one step; with zero there is no average, and nothing is ever changed.
    `arrays` are those of an earlier average that goes on. Early updates weigh more, so that the
    weights the training began with are soon forgotten.
    """

    def __init__(
        self, network: Any, *, decay: float, arrays: dict[str, NDArray[np.float32]]
    ) -> None:
        self._network = network
        self._decay = decay
        self.arrays = arrays

    def is_due(self, *, steps: int) -> bool:
        """Whether `update` changes anything after `steps` steps of the optimizer."""
        return self._decay > 0.0 and steps % UPDATE_INTERVAL == 0

    def update(self, *, steps: int) -> None:
        """Bring the average up to date where it is time, after `steps` steps of the optimizer."""
        if not self.is_due(steps=steps):
            return
        updates = steps // UPDATE_INTERVAL
        kept = min(self._decay**UPDATE_INTERVAL, updates / (updates + UPDATE_INTERVAL))
        present = arrays_of(self._network)
        if not self.arrays:
            self.arrays = present
            return
        for name, array in present.items():
            self.arrays[name] = kept * self.arrays[name] + (1 - kept) * array

    def settle(self) -> None:
        """Give the network the average for good."""
        if self.arrays:
            assign_arrays(self._network, self.arrays, source=None)

    @contextmanager
    def in_network(self) -> Iterator[None]:
        """Let the network be the average, and what it was afterwards."""
        if not self.arrays:
            yield
            return
        present = arrays_of(self._network)
        self.settle()
        try:
            yield
        finally:
            assign_arrays(self._network, present, source=None)
