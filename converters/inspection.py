"""Reads a .tflite file back, without running it: tensors, scales, operators, and an audit."""

import math
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_melanoma.converters.float_layers import refuse_other_floats
from edge_melanoma.converters.modes import InputOutput, Mode, Output
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.quantization import LOGIT_NAME, MAP_NAME, SCORE_NAME, TensorQuantization

INPUT_SCALE_TOLERANCE = 1e-3
"""Relative. A range pinned to 0..1 gives 1/255 but for rounding; unscaled pixels give 1."""

SIGMOID_SCALE = 1 / 256
INTEGER_TYPES = frozenset({"int8", "int32", "uint8"})
FLOAT_TYPES = frozenset({"float32", "float16"})

LARGEST_INT8_BYTES = 2_620_000
"""Of MobileNetV2 with alpha 1.0, written without repetitions; the score's layer may be float."""


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


def inspect_model(data: bytes) -> ModelFacts:
    """Read the flatbuffer of a .tflite file.

    Raises:
        EdgeMelanomaError: it cannot be read, or is not one graph with one input and one output,
            beside which only an activation map may stand.
    """
    from ai_edge_litert import schema_py_generated as schema

    try:
        model = schema.ModelT.InitFromPackedBuf(data, 0)
        graph = model.subgraphs[0]
        (input_index,), output_index = graph.inputs, _score_index(model, graph)
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
        output_name=_output_name(model, graph, graph.outputs[0]),
        has_map=len(graph.outputs) > 1,
    )


def _score_index(model: Any, graph: Any) -> int:
    """The tensor of the first output, beside which nothing but a map may stand."""
    first, *others = (int(index) for index in graph.outputs)
    names = [_output_name(model, graph, index) for index in others]
    if names not in ([], [MAP_NAME]):
        raise ValueError(f"expected one output, found {', '.join(names)} beside it")
    return first


def _output_name(model: Any, graph: Any, index: int) -> str:
    """What the signature calls an output, by which readers tell logits; else the tensor's name."""
    ends = [end for signature in model.signatureDefs or () for end in signature.outputs]
    names = [end.name for end in ends if end.tensorIndex == index]
    name: bytes = names[0] if names else graph.tensors[index].name or b""
    return name.decode()


def audit_model(
    facts: ModelFacts,
    *,
    mode: Mode,
    io: InputOutput,
    output: Output = Output.PROBABILITY,
    float_layers: Collection[str] = (),
    data: bytes | None = None,
) -> None:
    """Refuse a file that is not what its mode promises: wrong calibration converts silently.

    All but the mode counts for int8 files. `data` is the file itself, which is read again where
    layers are to be float, that of the score among them if that is the `output`.

    Raises:
        EdgeMelanomaError: what is wrong, the first thing found.
        ValueError: layers are to be float, and the file is not given.
    """
    if facts.input_shape[0] != 1:
        raise EdgeMelanomaError(f"The {mode} model has a batch of {facts.input_shape[0]}, not 1.")
    if not mode.is_full_int8:
        return
    floats = {*float_layers, *([SCORE_NAME] if output is Output.FLOAT32 else [])}
    if floats:
        if data is None:
            raise ValueError("the layers in float are read from the file, which is not given")
        _refuse_other_types(facts, INTEGER_TYPES | {"float32"}, mode=mode)
        refuse_other_floats(data, floats, mode=mode, output_name=facts.output_name)
    elif io is InputOutput.FLOAT32:
        _refuse_float_operators(facts, mode=mode)
    else:
        _refuse_other_types(facts, INTEGER_TYPES, mode=mode)
    _refuse_other_ends(facts, mode=mode, io=io, output=output)
    if facts.size_bytes > LARGEST_INT8_BYTES and floats <= {SCORE_NAME}:
        raise EdgeMelanomaError(
            f"The {mode} model has {facts.size_bytes} bytes; expected at most {LARGEST_INT8_BYTES}."
        )


def _refuse_other_types(facts: ModelFacts, types: frozenset[str], *, mode: Mode) -> None:
    others = set(facts.tensor_types) - types
    if others:
        raise EdgeMelanomaError(
            f"The {mode} model is not wholly int8: it has tensors of {', '.join(sorted(others))}."
        )


def _refuse_float_operators(facts: ModelFacts, *, mode: Mode) -> None:
    """With float32 ends there are two float tensors, the ends, and a step on each side of them."""
    floats = sum(facts.tensor_types.get(name, 0) for name in FLOAT_TYPES)
    steps = sum(facts.operators.get(name, 0) for name in ("QUANTIZE", "DEQUANTIZE"))
    if floats != 2 or steps != 2:
        raise EdgeMelanomaError(
            f"The {mode} model is not wholly int8 between its float32 ends: it has {floats} float "
            f"tensors and {steps} steps between float and int8, expected 2 and 2."
        )


def _refuse_other_ends(facts: ModelFacts, *, mode: Mode, io: InputOutput, output: Output) -> None:
    name = LOGIT_NAME if output is Output.LOGIT else SCORE_NAME
    if facts.output_name != name:
        raise EdgeMelanomaError(
            f"The {mode} model's output is called {facts.output_name}; expected {name}."
        )
    output_type = InputOutput.FLOAT32 if output is Output.FLOAT32 else io
    output_scale = None if output is Output.LOGIT else SIGMOID_SCALE
    _refuse_other_end("input", facts.input, mode=mode, dtype=io, scale=1 / 255)
    _refuse_other_end("output", facts.output, mode=mode, dtype=output_type, scale=output_scale)


def _refuse_other_end(
    end: str, found: TensorQuantization, *, mode: Mode, dtype: InputOutput, scale: float | None
) -> None:
    """A scale of none is a logit's: free, but its steps must hold 0, where P is 0.5."""
    if dtype is InputOutput.FLOAT32:
        fits, expected = True, dtype.value
    elif scale is None:
        limits = np.iinfo(dtype.value)
        fits = 0 < found.scale < math.inf and limits.min <= found.zero_point <= limits.max
        expected = f"{dtype}, a finite scale above 0 and a zero point of {limits.min}..{limits.max}"
    else:
        zero_point = {InputOutput.INT8: -128, InputOutput.UINT8: 0}[dtype]
        close = abs(found.scale / scale - 1) <= INPUT_SCALE_TOLERANCE
        fits = close and found.zero_point == zero_point
        expected = f"{dtype}, {scale:.6g} and {zero_point}"
    if found.dtype == dtype.value and fits:
        return
    steps = f" with scale {found.scale:.6g} and zero point {found.zero_point}"
    raise EdgeMelanomaError(
        f"The {mode} model's {end} is {found.dtype}{'' if found.is_float else steps}; "
        f"expected {expected}."
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
