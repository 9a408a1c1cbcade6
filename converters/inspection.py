"""Reads a .tflite file back, without running it: tensors, scales, operators, and an audit."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from edge_melanoma.converters.modes import InputOutput, Mode
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.quantization import TensorQuantization

INPUT_SCALE_TOLERANCE = 1e-3
"""Relative. A range pinned to 0..1 gives 1/255 but for rounding; unscaled pixels give 1."""

SIGMOID_SCALE = 1 / 256
INTEGER_TYPES = frozenset({"int8", "int32", "uint8"})
LARGEST_INT8_BYTES = 2_900_000
FLOAT_TYPES = frozenset({"float32", "float16"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What is in a .tflite file: operators by name, tensors by type, and its two ends."""

    size_bytes: int
    operators: dict[str, int]
    tensor_types: dict[str, int]
    input: TensorQuantization
    output: TensorQuantization
    input_shape: tuple[int, ...]


def inspect_model(data: bytes) -> ModelFacts:
    """Read the flatbuffer of a .tflite file.

    Raises:
        EdgeMelanomaError: it cannot be read, or is not one graph with one input and one output.
    """
    from ai_edge_litert import schema_py_generated as schema

    try:
        model = schema.ModelT.InitFromPackedBuf(data, 0)
        graph = model.subgraphs[0]
        (input_index,), (output_index,) = graph.inputs, graph.outputs
        ends = graph.tensors[input_index], graph.tensors[output_index]
        return _describe(model, graph, *ends, size_bytes=len(data))
    except Exception as error:
        # Generated readers raise struct.error, IndexError, TypeError and more on broken bytes.
        raise EdgeMelanomaError(f"The model cannot be read as a .tflite file: {error}.") from error


def _describe(model: Any, graph: Any, image: Any, score: Any, *, size_bytes: int) -> ModelFacts:
    from ai_edge_litert import schema_py_generated as schema

    type_names = _names_of(schema.TensorType)
    operator_names = _names_of(schema.BuiltinOperator)
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    operators = Counter(operator_names[codes[op.opcodeIndex]] for op in graph.operators)
    tensors = Counter(type_names[tensor.type].lower() for tensor in graph.tensors)
    return ModelFacts(
        size_bytes=size_bytes,
        operators=dict(sorted(operators.items())),
        tensor_types=dict(sorted(tensors.items())),
        input=_quantization_of(image, type_names),
        output=_quantization_of(score, type_names),
        input_shape=tuple(int(side) for side in image.shape),
    )


def audit_model(facts: ModelFacts, *, mode: Mode, io: InputOutput) -> None:
    """Refuse a file that is not what its mode promises: wrong calibration converts silently.

    Raises:
        EdgeMelanomaError: what is wrong, the first thing found.
    """
    if facts.input_shape[0] != 1:
        raise EdgeMelanomaError(f"The {mode} model has a batch of {facts.input_shape[0]}, not 1.")
    if not mode.is_full_int8:
        return
    if io is InputOutput.FLOAT32:
        _refuse_float_operators(facts)
    else:
        _refuse_other_types(facts)
        _refuse_other_scales(facts, io=io)
    if facts.size_bytes > LARGEST_INT8_BYTES:
        raise EdgeMelanomaError(
            f"The int8 model has {facts.size_bytes} bytes; expected at most {LARGEST_INT8_BYTES}."
        )


def _refuse_other_types(facts: ModelFacts) -> None:
    others = set(facts.tensor_types) - INTEGER_TYPES
    if others:
        raise EdgeMelanomaError(
            f"The int8 model is not wholly int8: it has tensors of {', '.join(sorted(others))}."
        )


def _refuse_float_operators(facts: ModelFacts) -> None:
    """With float32 ends there are two float tensors, the ends, and a step on each side of them."""
    floats = sum(facts.tensor_types.get(name, 0) for name in FLOAT_TYPES)
    steps = sum(facts.operators.get(name, 0) for name in ("QUANTIZE", "DEQUANTIZE"))
    if floats != 2 or steps != 2:
        raise EdgeMelanomaError(
            f"The int8 model is not wholly int8 between its float32 ends: it has {floats} float "
            f"tensors and {steps} steps between float and int8, expected 2 and 2."
        )


def _refuse_other_scales(facts: ModelFacts, *, io: InputOutput) -> None:
    zero_point = {InputOutput.INT8: -128, InputOutput.UINT8: 0}[io]
    expected = {"input": (facts.input, 1 / 255), "output": (facts.output, SIGMOID_SCALE)}
    for end, (found, scale) in expected.items():
        close = abs(found.scale / scale - 1) <= INPUT_SCALE_TOLERANCE
        if not close or found.zero_point != zero_point or found.dtype != io.value:
            raise EdgeMelanomaError(
                f"The int8 model's {end} is {found.dtype} with scale {found.scale:.6g} and zero "
                f"point {found.zero_point}; expected {io.value}, {scale:.6g} and {zero_point}."
            )


def _names_of(enumeration: type) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


def _quantization_of(tensor: Any, type_names: dict[int, str]) -> TensorQuantization:
    quantization = getattr(tensor, "quantization", None)
    scales = getattr(quantization, "scale", None)
    zero_points = getattr(quantization, "zeroPoint", None)
    return TensorQuantization(
        dtype=type_names[tensor.type].lower(),
        scale=float(scales[0]) if scales is not None and len(scales) else 0.0,
        zero_point=int(zero_points[0]) if zero_points is not None and len(zero_points) else 0,
    )
