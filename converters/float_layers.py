"""Which layers of a .tflite file compute in float, and which float numbers are between others."""

from collections.abc import Collection
from dataclasses import dataclass

from edge_melanoma.converters.layer_errors import find_operators
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.tflite.modes import Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Precisions:
    """The layers with operators in float and with others, each once, in the file's order.

    `loose` are float tensors besides the file's two ends that no float operator reads or writes:
    numbers that left int8 for nothing.
    """

    float_layers: tuple[str, ...]
    integer_layers: tuple[str, ...]
    loose: tuple[str, ...]


def find_precisions(data: bytes, *, output_name: str) -> Precisions:
    """Read a converter's file, or the same made smaller, whose tensors are named as the layers.

    The last operator's tensor is the one thing without a layer's name: the signature's output,
    `output_name`, is called as the last layer is.
    """
    from ai_edge_litert import schema_py_generated as schema

    operators = find_operators(data)
    layers = [operator.layer for operator in operators]
    layers[-1:] = [output_name]
    graph = schema.ModelT.InitFromPackedBuf(data, 0).subgraphs[0]
    made_in_float = {operator.tensor_index for operator in operators if operator.is_float}
    touched = {graph.inputs[0], graph.outputs[0]}
    for operator in graph.operators:
        if operator.outputs[0] in made_in_float:
            touched |= {*operator.inputs, *operator.outputs}
    pairs = list(zip(layers, (operator.is_float for operator in operators), strict=True))
    return Precisions(
        float_layers=tuple(dict.fromkeys(layer for layer, is_float in pairs if is_float)),
        integer_layers=tuple(dict.fromkeys(layer for layer, is_float in pairs if not is_float)),
        loose=tuple(
            tensor.name.decode()
            for index, tensor in enumerate(graph.tensors)
            if tensor.type == schema.TensorType.FLOAT32 and index not in touched
        ),
    )


def refuse_other_floats(
    data: bytes, layers: Collection[str], *, mode: Mode, output_name: str
) -> None:
    """Let a file pass that computes `layers` wholly in float and all others in integers.

    Raises:
        EdgeMelanomaError: the layers, or the tensors, that are not so.
    """
    found = find_precisions(data, output_name=output_name)
    if set(found.float_layers) != set(layers):
        raise EdgeMelanomaError(
            f"The {mode} model computes {', '.join(found.float_layers) or 'nothing'} in float; "
            f"expected {', '.join(sorted(layers))}."
        )
    partly = [layer for layer in found.integer_layers if layer in layers]
    if partly:
        raise EdgeMelanomaError(
            f"The {mode} model computes a part of {', '.join(partly)} in integers; "
            f"expected all of it in float."
        )
    if found.loose:
        raise EdgeMelanomaError(
            f"The {mode} model holds {', '.join(found.loose)} in float; expected float numbers "
            f"around {', '.join(sorted(layers))} alone."
        )
