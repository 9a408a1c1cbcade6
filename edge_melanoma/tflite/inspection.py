"""Reads a .tflite file back, without running it: tensors, scales, operators, and an audit."""

from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import Any

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.tflite.quantization import GATE_NAME, MAP_NAME, TensorQuantization

SIGMOID_SCALE = 1 / 256


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What is in a .tflite file: operators by name, tensors by type, its ends."""

    size_bytes: int
    operators: dict[str, int]
    tensor_types: dict[str, int]
    input: TensorQuantization
    output: TensorQuantization
    input_shape: tuple[int, ...]
    output_name: str
    has_map: bool = False
    gate: TensorQuantization | None = None
    gate_components: int = 0


def inspect_model(data: bytes, *, name: str = "The model") -> ModelFacts:
    """Read the flatbuffer of a .tflite file; `name` begins the sentence about one.

    Raises:
        EdgeMelanomaError: it cannot be read, or is not one graph with one input and one output,
            beside which only an activation map and a gate may stand.
    """
    try:
        return _describe(read_tables(data), size_bytes=len(data), name=name)
    except EdgeMelanomaError:
        raise
    except Exception as error:
        # Generated readers raise struct.error, IndexError, TypeError and more on broken bytes.
        raise EdgeMelanomaError(f"{name} cannot be read as a .tflite file: {error}.") from error


def read_tables(data: bytes) -> Any:
    """The flatbuffer of a .tflite file as the schema's objects, a `ModelT`."""
    from ai_edge_litert import schema_py_generated as schema

    return schema.ModelT.InitFromPackedBuf(data, 0)


@cache
def names_of(enumeration: str) -> dict[int, str]:
    """The names in an enumeration of the schema, such as TensorType, by their numbers."""
    from ai_edge_litert import schema_py_generated as schema

    members = vars(getattr(schema, enumeration))
    return {value: name for name, value in members.items() if isinstance(value, int)}


def operator_names(model: Any) -> list[str]:
    """The names of a model's operator codes, as ADD; numbers that the schema lacks in words."""
    names = names_of("BuiltinOperator")
    codes = [
        max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes or []
    ]
    return [names.get(code, f"number {code}") for code in codes]


def integers(vector: Any) -> list[int]:
    """Those of a vector of the schema, which may be absent."""
    return [] if vector is None else [int(value) for value in vector]


def _describe(model: Any, *, size_bytes: int, name: str) -> ModelFacts:
    graph = model.subgraphs[0]
    inputs, outputs = integers(graph.inputs), integers(graph.outputs)
    beside = {_output_name(model, graph, index): graph.tensors[index] for index in outputs[1:]}
    if len(inputs) != 1 or not outputs or not beside.keys() <= {MAP_NAME, GATE_NAME}:
        raise EdgeMelanomaError(
            f"{name} is not a lesion classifier: expected one input and one output, beside which "
            f"only {GATE_NAME} and {MAP_NAME} stand; found {len(inputs)} and {len(outputs)}."
        )
    gate = beside.get(GATE_NAME)
    image, score = graph.tensors[inputs[0]], graph.tensors[outputs[0]]
    type_names, names = names_of("TensorType"), operator_names(model)
    operators = Counter(names[op.opcodeIndex] for op in graph.operators)
    tensors = Counter(type_names[tensor.type].lower() for tensor in graph.tensors)
    return ModelFacts(
        size_bytes=size_bytes,
        operators=dict(sorted(operators.items())),
        tensor_types=dict(sorted(tensors.items())),
        input=_quantization_of(image, type_names),
        output=_quantization_of(score, type_names),
        input_shape=tuple(int(side) for side in image.shape),
        output_name=_output_name(model, graph, outputs[0]),
        has_map=MAP_NAME in beside,
        gate=None if gate is None else _quantization_of(gate, type_names),
        gate_components=0 if gate is None else int(gate.shape[-1]),
    )


def _output_name(model: Any, graph: Any, index: int) -> str:
    """What the signature calls an output, by which readers tell logits; else the tensor's name."""
    ends = [end for signature in model.signatureDefs or () for end in signature.outputs]
    names = [end.name for end in ends if end.tensorIndex == index]
    name: bytes = names[0] if names else graph.tensors[index].name or b""
    return name.decode()


def _quantization_of(tensor: Any, type_names: dict[int, str]) -> TensorQuantization:
    def first(field: str) -> Any:
        values = getattr(tensor.quantization, field, None)
        return values[0] if values is not None and len(values) else 0

    return TensorQuantization(
        dtype=type_names[tensor.type].lower(),
        scale=float(first("scale")),
        zero_point=int(first("zeroPoint")),
    )
