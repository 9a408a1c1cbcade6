"""Whether a converted file is what its mode promises."""

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np

from edge_melanoma.converters.layer_errors import STEPS, find_operators
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.tflite.inspection import SIGMOID_SCALE, ModelFacts, names_of, read_tables
from edge_melanoma.tflite.modes import InputOutput, Mode, Output
from edge_melanoma.tflite.quantization import LOGIT_NAME, SCORE_NAME, TensorQuantization

SCALE_TOLERANCE = 1e-3
"""Relative. A range pinned to 0..1 gives 1/255 but for rounding; unscaled pixels give 1."""

INTEGER_TYPES = frozenset({"int8", "int32", "uint8"})

LARGEST_INT8_BYTES = 2_665_000
"""Of MobileNetV2 with alpha 1.0, written without repetitions; the score's layer may be float, and
of 45,000 bytes is a gate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Precisions:
    """The layers with operators in float and with others, each once, in the file's order.

    `loose` are float tensors besides the file's two ends that no float operator reads or writes:
    numbers that left int8 for nothing.
    """

    float_layers: tuple[str, ...]
    integer_layers: tuple[str, ...]
    loose: tuple[str, ...]


def audit_model(
    facts: ModelFacts,
    *,
    mode: Mode,
    io: InputOutput,
    output: Output = Output.PROBABILITY,
    float_layers: Collection[str] = (),
    data: bytes | None = None,
    largest_bytes: int | None = LARGEST_INT8_BYTES,
) -> None:
    """Refuse a file that is not what its mode promises: wrong calibration converts silently.

    All but the mode counts for int8 files. `data` is the file itself, which is read again where
    layers are to be float, that of the score among them if that is the `output`.

    Raises:
        EdgeMelanomaError: what is wrong, the first thing found.
        ValueError: layers are to be float, and the file is not given.
    """
    fault = None
    if facts.input_shape[0] != 1:
        fault = f" has a batch of {facts.input_shape[0]}, not 1"
    elif mode.is_full_int8:
        floats = {*float_layers, *([SCORE_NAME] if output is Output.FLOAT32 else [])}
        faults = _find_int8_faults(facts, floats, io, output, data)
        if floats <= {SCORE_NAME}:
            faults = chain(faults, _find_large(facts, largest_bytes))
        fault = next(faults, None)
    if fault:
        raise EdgeMelanomaError(f"The {mode} model{fault}.")


def find_precisions(data: bytes, *, output_name: str) -> Precisions:
    """Read a converter's file, or the same made smaller, whose tensors are named as the layers.

    The last operator's tensor is the one thing without a layer's name: the signature's output,
    `output_name`, is called as the last layer is.
    """
    operators = find_operators(data)
    layers = [*(operator.layer for operator in operators[:-1]), output_name]
    graph, kinds = read_tables(data).subgraphs[0], names_of("TensorType")
    made_in_float = {operator.tensor_index for operator in operators if operator.is_float}
    touched = {graph.inputs[0], graph.outputs[0]}
    for operator in graph.operators:
        if operator.outputs[0] in made_in_float:
            touched |= {*operator.inputs, *operator.outputs}
    sides: dict[bool, dict[str, None]] = {True: {}, False: {}}
    for layer, operator in zip(layers, operators, strict=True):
        sides[operator.is_float][layer] = None
    loose = [
        tensor.name.decode()
        for index, tensor in enumerate(graph.tensors)
        if kinds[tensor.type] == "FLOAT32" and index not in touched
    ]
    return Precisions(
        float_layers=tuple(sides[True]), integer_layers=tuple(sides[False]), loose=tuple(loose)
    )


def _find_int8_faults(
    facts: ModelFacts, floats: set[str], io: InputOutput, output: Output, data: bytes | None
) -> Iterator[str]:
    """What follows "The int8 model" in a sentence about it, one for each fault."""
    if floats and data is None:
        raise ValueError("the layers in float are read from the file, which is not given")
    if io is InputOutput.FLOAT32 and not floats:
        # The two ends, and a step on each side of what is between them.
        tensors = sum(facts.tensor_types.get(name, 0) for name in ("float32", "float16"))
        steps = sum(facts.operators.get(name, 0) for name in STEPS)
        if (tensors, steps) != (2, 2):
            yield (
                f" is not wholly int8 between its float32 ends: it has {tensors} float tensors and "
                f"{steps} steps between float and int8, expected 2 and 2"
            )
    else:
        others = set(facts.tensor_types) - INTEGER_TYPES - ({"float32"} if floats else set())
        if others:
            yield f" is not wholly int8: it has tensors of {', '.join(sorted(others))}"
    if floats and data is not None:
        yield from _find_other_floats(data, floats, output_name=facts.output_name)
    name = LOGIT_NAME if output is Output.LOGIT else SCORE_NAME
    if facts.output_name != name:
        yield f"'s output is called {facts.output_name}; expected {name}"
    output_type = InputOutput.FLOAT32 if output is Output.FLOAT32 else io
    output_scale = None if output is Output.LOGIT else SIGMOID_SCALE
    yield from _find_other_end("input", facts.input, dtype=io, scale=1 / 255)
    yield from _find_other_end("output", facts.output, dtype=output_type, scale=output_scale)


def _find_large(facts: ModelFacts, largest_bytes: int | None) -> Iterator[str]:
    if largest_bytes is not None and facts.size_bytes > largest_bytes:
        yield f" has {facts.size_bytes} bytes; expected at most {largest_bytes}"


def _find_other_floats(data: bytes, layers: Collection[str], *, output_name: str) -> Iterator[str]:
    """Nothing of a file that computes `layers` wholly in float and all others in integers."""
    found, wanted = find_precisions(data, output_name=output_name), ", ".join(sorted(layers))
    if set(found.float_layers) != set(layers):
        computed = ", ".join(found.float_layers) or "nothing"
        yield f" computes {computed} in float; expected {wanted}"
    if partly := [layer for layer in found.integer_layers if layer in layers]:
        yield f" computes a part of {', '.join(partly)} in integers; expected all of it in float"
    if found.loose:
        loose = ", ".join(found.loose)
        yield f" holds {loose} in float; expected float numbers around {wanted} alone"


def _find_other_end(
    end: str, found: TensorQuantization, *, dtype: InputOutput, scale: float | None
) -> Iterator[str]:
    """A scale of none is a logit's: free, but its steps must hold 0, where P is 0.5."""
    if dtype is InputOutput.FLOAT32:
        fits, expected = True, dtype.value
    elif scale is None:
        limits = np.iinfo(dtype.value)
        fits = 0 < found.scale < math.inf and limits.min <= found.zero_point <= limits.max
        expected = f"{dtype}, a finite scale above 0 and a zero point of {limits.min}..{limits.max}"
    else:
        zero_point = {InputOutput.INT8: -128, InputOutput.UINT8: 0}[dtype]
        close = abs(found.scale / scale - 1) <= SCALE_TOLERANCE
        fits = close and found.zero_point == zero_point
        expected = f"{dtype}, {scale:.6g} and {zero_point}"
    if found.dtype != dtype.value or not fits:
        steps = f" with scale {found.scale:.6g} and zero point {found.zero_point}"
        yield f"'s {end} is {found.dtype}{'' if found.is_float else steps}; expected {expected}"
