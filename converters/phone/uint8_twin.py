"""The twin of an int8 file for clients that refuse int8: raw RGB bytes in, P x 256 out."""

import copy
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from edge_melanoma.converters.packing import pack_model
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.tflite.inspection import inspect_model

SIGN_SHIFT = 128
"""Between the zero points of int8 and uint8: to requantise is to turn the sign bit alone."""


def make_uint8_twin(data: bytes) -> bytes:
    """The same network with a step from uint8 before it and one to uint8 behind it.

    It is made from the file alone, without a converter. Of the same picture it gives the int8
    file's integer plus 128.

    Raises:
        EdgeMelanomaError: the file is not int8 in and out, or cannot be read.
    """
    facts = inspect_model(data)
    types = (facts.input.dtype, facts.output.dtype)
    if types != ("int8", "int8"):
        raise EdgeMelanomaError(
            f"A uint8 twin is made of a file with int8 input and output; this one has "
            f"{types[0]} and {types[1]}."
        )
    model = schema.ModelT.InitFromPackedBuf(data, 0)
    graph, code = model.subgraphs[0], _quantize_code(model)
    (image,), (score,) = graph.inputs, graph.outputs
    graph.inputs = [_add_uint8_end(graph, image)]
    graph.outputs = [_add_uint8_end(graph, score)]
    graph.operators.insert(0, _step(code, graph.inputs[0], image))
    graph.operators.append(_step(code, score, graph.outputs[0]))
    _rename_in_signatures(model, {image: graph.inputs[0], score: graph.outputs[0]})
    return pack_model(model, size=len(data))


def _quantize_code(model: Any) -> int:
    """The index of the operator code QUANTIZE, put in where there is none."""
    wanted = schema.BuiltinOperator.QUANTIZE
    for index, code in enumerate(model.operatorCodes):
        if max(code.builtinCode, code.deprecatedBuiltinCode) == wanted:
            return index
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = wanted
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def _add_uint8_end(graph: Any, index: int) -> int:
    """A uint8 tensor under the name of an int8 one, which gets another."""
    inner = graph.tensors[index]
    outer = copy.copy(inner)
    outer.quantization = copy.copy(inner.quantization)
    outer.type = schema.TensorType.UINT8
    outer.quantization.zeroPoint = inner.quantization.zeroPoint + SIGN_SHIFT
    inner.name = inner.name + b"/int8"
    graph.tensors.append(outer)
    return len(graph.tensors) - 1


def _step(code: int, source: int, target: int) -> Any:
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = code, [source], [target]
    operator.builtinOptionsType = schema.BuiltinOptions.QuantizeOptions
    operator.builtinOptions = schema.QuantizeOptionsT()
    return operator


def _rename_in_signatures(model: Any, moved: dict[int, int]) -> None:
    for signature in model.signatureDefs or ():
        for end in [*signature.inputs, *signature.outputs]:
            end.tensorIndex = moved.get(end.tensorIndex, end.tensorIndex)
