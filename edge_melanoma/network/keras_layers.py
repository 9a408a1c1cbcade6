"""The layers of a Keras model as its configuration describes them: text, of which nothing is run.

Models inside of models are laid flat, layers that do nothing once a network is trained are left
out, and what remains can be held against the layers of another model, one by one.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edge_melanoma.network.weight_files import MODELS, layers_in

SETTINGS_OF_KIND = {
    "Conv2D": "filters kernel_size strides padding dilation_rate groups use_bias activation",
    "DepthwiseConv2D": (
        "kernel_size strides padding dilation_rate depth_multiplier use_bias activation"
    ),
    "BatchNormalization": "axis epsilon center scale",
    "ReLU": "max_value negative_slope threshold",
    "ZeroPadding2D": "padding",
    "GlobalAveragePooling2D": "keepdims",
}
"""What of a layer's configuration changes its output."""

WITHOUT_EFFECT = re.compile(
    r"Random(?!Crop)\w+|(Spatial)?Dropout(2D)?|Gaussian(Noise|Dropout)|ActivityRegularization"
)
"""Layers that pass on what they get, once a network is trained."""

INPUT = "InputLayer"


class MisfitError(Exception):
    """What does not fit, as the end of a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLayer:
    """A layer; `inputs` are the places of those before it, `constant` the number it works with."""

    kind: str
    name: str
    settings: Mapping[str, Any]
    inputs: tuple[int, ...] = ()
    constant: float | None = None

    def __str__(self) -> str:
        return f"{self.name} ({self.kind})"

    @property
    def activation(self) -> str:
        """Its name, of whatever kind of layer."""
        if self.kind in {"ReLU", "Softmax"}:
            return self.kind.lower()
        stated = self.settings.get("activation") or "linear"
        return str(stated["config"] if isinstance(stated, Mapping) else stated)


def read_layers(model: Mapping[str, Any]) -> tuple[FileLayer, ...]:
    """All layers of a model in its order, those of models inside of it among them.

    Raises:
        MisfitError: a layer is used twice, or the model has several outputs.
        KeyError, TypeError, ValueError, IndexError: the configuration is not one of Keras.
    """
    found: list[FileLayer] = []
    _flatten(model, found, None)
    return tuple(found)


def _flatten(model: Mapping[str, Any], found: list[FileLayer], given: int | None) -> int:
    """Add the model's layers to `found`; the place of its output. `given` is that of its input."""
    in_order = model["class_name"] == "Sequential"
    places: dict[str, int] = {}
    last = given
    for entry in layers_in(model):
        kind, settings = str(entry["class_name"]), entry["config"]
        name = str(entry.get("name") or settings["name"])
        nodes = entry.get("inbound_nodes") or []
        if len(nodes) > 1:
            raise MisfitError(f"its layer {name} ({kind}) is used more than once")
        before = [last] if in_order else [places[parent] for parent in _parents(nodes)]
        if kind == INPUT and given is not None:
            before = [given]
        inputs = tuple(place for place in before if place is not None)
        if kind in MODELS:
            last = _flatten(entry, found, inputs[0] if inputs else None)
        else:
            layer = FileLayer(kind=kind, name=name, settings=settings, inputs=inputs)
            found.append(replace(layer, constant=_constant(nodes)))
            last = len(found) - 1
        places[name] = last
    ends = (
        [last] if in_order else [places[end] for end in _parents(model["config"]["output_layers"])]
    )
    if len(ends) != 1 or ends[0] is None:
        raise MisfitError(f"it has {len(ends)} outputs, expected one")
    return ends[0]


def _parents(nodes: Any) -> Iterator[str]:
    """The layers that are named in either way of writing: [name, 0, 0] somewhere inside."""
    if isinstance(nodes, Mapping):
        nodes = list(nodes.values())
    if isinstance(nodes, list):
        if len(nodes) > 2 and isinstance(nodes[0], str) and isinstance(nodes[1], int):
            yield nodes[0]
        else:
            for node in nodes:
                yield from _parents(node)


def _constant(nodes: Any) -> float | None:
    """The number that an operation on one tensor has beside it: `x / 127.5`."""
    for node in nodes:
        if isinstance(node, Mapping):
            numbers = node["args"][1:]
        else:
            numbers = [part.get("y") for part in node if isinstance(part, Mapping)]
        for number in numbers:
            if isinstance(number, int | float):
                return float(number)
    return None


def without_idle(layers: Sequence[FileLayer]) -> tuple[FileLayer, ...]:
    """The layers without those that have no effect, and of the inputs the first alone."""
    kept: list[FileLayer] = []
    places: list[int] = []
    for layer in layers:
        inputs = tuple(places[place] for place in layer.inputs)
        is_linear = layer.kind == "Activation" and layer.activation == "linear"
        idle = is_linear or layer.kind == INPUT or WITHOUT_EFFECT.fullmatch(layer.kind)
        if inputs and idle:
            places.append(inputs[0])
        else:
            places.append(len(kept))
            kept.append(replace(layer, inputs=inputs))
    return tuple(kept)


def scaling_of(layer: FileLayer) -> tuple[float, float] | None:
    """Factor and summand of a layer that scales every pixel alike; none of another layer."""
    if layer.kind == "Rescaling":
        return float(layer.settings["scale"]), float(layer.settings.get("offset", 0.0))
    operation = str(layer.settings.get("function", layer.kind)).rpartition(".")[2].lower()
    number = layer.constant
    if number is None:
        return None
    scalings = {
        "truediv": (1 / (number or 1.0), 0.0),
        "multiply": (number, 0.0),
        "subtract": (1.0, -number),
        "add": (1.0, number),
    }
    return scalings.get(operation.replace("truedivide", "truediv").replace("divide", "truediv"))


def refuse_misfit(found: FileLayer, expected: FileLayer, *, shift: int = 0) -> None:
    """Hold a layer against the one that ought to stand there, `shift` places before.

    Raises:
        MisfitError: what differs.
    """
    if found.kind != expected.kind:
        raise MisfitError(f"its layer {found} stands where {expected} is expected")
    for name in SETTINGS_OF_KIND.get(found.kind, "").split():
        wanted = _plain(expected, name)
        if (stated := _plain(found, name)) != wanted:
            raise MisfitError(f"its layer {found} has {name} {stated}, expected {wanted}")
    if tuple(max(0, place - shift) for place in found.inputs) != expected.inputs:
        raise MisfitError(f"its layer {found} takes other layers' outputs than {expected.name}")


def _plain(layer: FileLayer, name: str) -> Any:
    """A setting as both ways of writing have it."""
    if name == "activation":
        return layer.activation
    value = layer.settings.get(name, {"groups": 1, "keepdims": False}.get(name))
    if name == "axis":
        return (value[0] if isinstance(value, list | tuple) else value) % 4
    if isinstance(value, list | tuple):
        return [list(part) if isinstance(part, list | tuple) else part for part in value]
    return value
