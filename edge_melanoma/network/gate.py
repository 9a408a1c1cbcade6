"""The gate of a run: how means of an inner layer become whitened components, and their limit."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import sha256_of_file
from edge_melanoma.machine.tensorflow import tf_keras
from edge_melanoma.network.weight_files import read_weights_file
from edge_melanoma.runs.models import GATE, TrainedModel
from edge_melanoma.tflite.gate import GateRule, read_rule
from edge_melanoma.tflite.quantization import GATE_NAME

LAYER = "block_10_expand_relu"
"""The last features know diagnoses alone: they hold a temple for a lesion."""

MEANS_LAYER = "gate_means"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """means (n, channels) @ `kernel` + `bias` are components, of which `rule` makes a distance.

    `centre` (channels,) and `largest_mean` are of the pictures that it was fitted with.
    """

    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]
    centre: NDArray[np.float32]
    largest_mean: float
    rule: GateRule

    def distances(self, means: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Of means (n, channels), in float64."""
        return self.rule.distances(means.astype(np.float64) @ self.kernel + self.bias)


def means_of(network: Any) -> Any:
    """From a picture to the means (n, channels) that a gate is made of; shares layers."""
    pooled = tf_keras.layers.GlobalAveragePooling2D(name=MEANS_LAYER)
    return tf_keras.Model(network.input, pooled(network.get_layer(LAYER).output))


def with_gate(network: Any, gate: Gate) -> Any:
    """The network with the components (n, components) as a second output; shares layers."""
    dense = tf_keras.layers.Dense(gate.rule.components, name=GATE_NAME)
    components = dense(means_of(network).output)
    dense.set_weights([gate.kernel, gate.bias])
    return tf_keras.Model(network.input, [network.output, components], name=network.name)


def read_gate(run: TrainedModel) -> Gate | None:
    """The gate that was fitted with a run; none where none was.

    Raises:
        EdgeMelanomaError: its file is missing, or is not the one of this run.
    """
    path, told = run.folder / GATE, run.manifest.get("gate")
    rule = read_rule(told, source=str(run.folder / "manifest.json"))
    if rule is None:
        return None
    found = sha256_of_file(path) if path.is_file() else None
    if found is None or found != run.manifest["files"].get(GATE, {}).get("sha256"):
        raise EdgeMelanomaError(
            f"{path} is missing, or is the gate of another model than the manifest's; restore it, "
            f"or train again."
        )
    arrays = read_weights_file(path).arrays
    kernel, bias = arrays["kernel"], arrays["bias"]
    if kernel.shape[1:] != bias.shape or bias.shape != (rule.components,):
        raise EdgeMelanomaError(
            f"{path} holds other numbers than its manifest tells: a kernel {kernel.shape} and a "
            f"bias {bias.shape} for {rule.components} components; restore it, or train again."
        )
    largest = float(arrays["largest_mean"][0])
    return Gate(kernel=kernel, bias=bias, centre=arrays["centre"], largest_mean=largest, rule=rule)
