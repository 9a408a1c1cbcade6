"""The smallest .tflite files that an interpreter takes, written without a converter."""

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edge_melanoma.converters.packing import pack_model
from edge_melanoma.tflite.metadata import METADATA_NAME


def empty_model(*, shape: list[int]) -> bytes:
    """A valid graph without operators whose float32 input of `shape` is its output."""
    graph = schema.SubGraphT()
    graph.tensors, graph.inputs, graph.outputs, graph.operators = [schema.TensorT()], [0], [0], []
    graph.tensors[0].shape, graph.tensors[0].type = shape, schema.TensorType.FLOAT32
    return _pack(graph, codes=[], buffers=[schema.BufferT()])


def mean_model(*, tensor: str, signature: str | None) -> bytes:
    """A file that gives the mean of a picture in quarters from 20 on.

    The output goes by two names, that of its tensor and, where there is one, the signature's.
    """
    image = _tensor([1, 224, 224, 3], scale=1 / 255, zero_point=-128)
    mean = _tensor([1], scale=0.25, zero_point=20)
    mean.name = tensor
    axes, operator, code = schema.TensorT(), schema.OperatorT(), schema.OperatorCodeT()
    axes.shape, axes.type, axes.buffer = [3], schema.TensorType.INT32, 1
    operator.inputs, operator.outputs, operator.opcodeIndex = [0, 1], [2], 0
    operator.builtinOptionsType = schema.BuiltinOptions.ReducerOptions
    operator.builtinOptions = schema.ReducerOptionsT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.MEAN
    graph, numbers = schema.SubGraphT(), schema.BufferT()
    graph.tensors, graph.operators = [image, axes, mean], [operator]
    graph.inputs, graph.outputs = [0], [2]
    numbers.data = np.array([1, 2, 3], np.int32).view(np.uint8)
    return _pack(graph, codes=[code], buffers=[schema.BufferT(), numbers], output_name=signature)


def without_metadata(data: bytes) -> bytes:
    """A model as it was before files were attached to it."""
    model = schema.ModelT.InitFromPackedBuf(data, 0)
    (place,) = [n for n, entry in enumerate(model.metadata) if entry.name == METADATA_NAME]
    assert model.metadata.pop(place).buffer == len(model.buffers) - 1
    model.buffers.pop()
    return pack_model(model, size=len(data))


def _tensor(shape: list[int], *, scale: float, zero_point: int) -> Any:
    tensor, quantization = schema.TensorT(), schema.QuantizationParametersT()
    tensor.shape, tensor.type, tensor.quantization = shape, schema.TensorType.INT8, quantization
    quantization.scale, quantization.zeroPoint = [scale], [zero_point]
    return tensor


def _pack(
    graph: Any, *, codes: list[Any], buffers: list[Any], output_name: str | None = None
) -> bytes:
    model = schema.ModelT()
    model.version, model.subgraphs, model.operatorCodes, model.buffers = 3, [graph], codes, buffers
    if output_name is not None:
        signature, image, output = schema.SignatureDefT(), schema.TensorMapT(), schema.TensorMapT()
        image.name, image.tensorIndex = "image", graph.inputs[0]
        output.name, output.tensorIndex = output_name, graph.outputs[0]
        signature.signatureKey, signature.subgraphIndex = "serving_default", 0
        signature.inputs, signature.outputs = [image], [output]
        model.signatureDefs = [signature]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def two_output_model() -> bytes:
    """A valid graph of two float32 outputs, each the input itself, of a picture's shape."""
    graph = schema.SubGraphT()
    graph.tensors, graph.operators = [schema.TensorT()], []
    graph.inputs, graph.outputs = [0], [0, 0]
    graph.tensors[0].shape, graph.tensors[0].type = [1, 224, 224, 3], schema.TensorType.FLOAT32
    return _pack(graph, codes=[], buffers=[schema.BufferT()])
