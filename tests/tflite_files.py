"""The smallest .tflite files that an interpreter takes, written without a converter."""

import shutil
import tempfile
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers.number_types import Int8Flags

from edge_melanoma.converters.packing import add_metadata, pack_model
from edge_melanoma.tflite.metadata import IDENTIFIER, METADATA_NAME


def empty_model(*, shape: list[int]) -> bytes:
    """A valid graph without operators whose float32 input of `shape` is its output."""
    graph = schema.SubGraphT()
    graph.tensors, graph.inputs, graph.outputs, graph.operators = [schema.TensorT()], [0], [0], []
    graph.tensors[0].shape, graph.tensors[0].type = shape, schema.TensorType.FLOAT32
    return _pack(graph, codes=[], buffers=[schema.BufferT()])


def mean_model(*, tensor: str, signature: str | None) -> bytes:
    """A file that gives the mean of a picture in quarters from 20 on.

    The output goes by two names, that of its tensor and, where there is one, the signature's.
    One axis at a time: over all three at once, LiteRT overflows on processors with AVX2 alone.
    """
    shapes = ([1, 224, 224, 3], [1, 224, 3], [1, 3])
    tensors = [_tensor(shape, scale=1 / 255, zero_point=-128) for shape in shapes]
    mean, axis, code = _tensor([1], scale=0.25, zero_point=20), schema.TensorT(), _mean_code()
    mean.name = tensor
    axis.shape, axis.type, axis.buffer = [1], schema.TensorType.INT32, 1
    graph, number = schema.SubGraphT(), schema.BufferT()
    graph.tensors = [*tensors, mean, axis]
    graph.operators = [_mean_over(4, source, source + 1) for source in range(3)]
    graph.inputs, graph.outputs = [0], [3]
    number.data = np.array([1], np.int32).view(np.uint8)
    return _pack(graph, codes=[code], buffers=[schema.BufferT(), number], output_name=signature)


def _mean_code() -> Any:
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.MEAN
    return code


def _mean_over(axis: int, source: int, target: int) -> Any:
    operator = schema.OperatorT()
    operator.inputs, operator.outputs, operator.opcodeIndex = [source, axis], [target], 0
    operator.builtinOptionsType = schema.BuiltinOptions.ReducerOptions
    operator.builtinOptions = schema.ReducerOptionsT()
    return operator


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


def one_layer_model(
    range_: tuple[float, float],
    *,
    dtype: str,
    logits: tuple[list[float], list[float]] = ([1.0], [0.0]),
    softmax: bool = False,
    normalised: tuple[float, float] | None = None,
    labels: str = "",
    side: int = 8,
) -> bytes:
    """A dense layer on a picture's mean, whose outputs are `logits[0]` x whiteness + `logits[1]`.

    Whiteness is 0 for black and 1 for white, where the input takes `range_` for these. Made by
    TensorFlow's converter, with metadata if it has `normalised`, mean and deviation, or `labels`.
    """
    from edge_melanoma.machine.processes import stderr_discarded
    from edge_melanoma.machine.tensorflow import tf

    low, high = range_
    slope = np.array([logits[0]], np.float32) / (high - low)
    bias = np.array(logits[1], np.float32) - low * slope[0]

    def score(image: Any) -> Any:
        mean = tf.reshape(tf.reduce_mean(image, axis=[1, 2, 3]), [1, 1])
        numbers = tf.matmul(mean, slope) + bias
        return {"scores": tf.nn.softmax(numbers) if softmax else numbers}

    module, folder = tf.Module(), tempfile.mkdtemp()
    signature = [tf.TensorSpec((1, side, side, 3), tf.float32)]
    module.serve = tf.function(score, input_signature=signature)
    tf.saved_model.save(module, folder, signatures={"serving_default": module.serve})
    converter = tf.lite.TFLiteConverter.from_saved_model(folder)
    if dtype != "float32":
        levels = np.linspace(low, high, 20, dtype=np.float32)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: (
            [np.full((1, side, side, 3), level, np.float32)] for level in levels
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.as_dtype(dtype)
    with stderr_discarded():
        data: bytes = converter.convert()
    shutil.rmtree(folder)
    if normalised is None and not labels:
        return data
    return _attach(data, normalised, labels)


def _attach(data: bytes, normalised: tuple[float, float] | None, labels: str) -> bytes:
    """A model with metadata that says how its input is scaled and what its outputs are called."""
    from edge_melanoma.converters import metadata

    writer = metadata._MetadataWriter()
    units, files = [], []
    if normalised is not None:
        mean, deviation = (writer._floats(number) for number in normalised)
        scaling = writer._table({0: mean, 1: deviation})
        units = [writer._table({1: scaling}, {0: (Int8Flags, metadata.NORMALIZATION)})]
    if labels:
        files = [writer._file(metadata.LABELS, metadata.AXIS_LABELS)]
    image = writer._table({4: writer._tables(units)})
    score = writer._table({6: writer._tables(files)})
    graph = writer._table({2: writer._tables([image]), 3: writer._tables([score])})
    writer.Finish(writer._table({3: writer._tables([graph])}), IDENTIFIER)
    model = schema.ModelT.InitFromPackedBuf(data, 0)
    add_metadata(model, METADATA_NAME, bytes(writer.Output()))
    packed = pack_model(model, size=len(data))
    return metadata._with_zip(packed, {metadata.LABELS: labels.encode()})
