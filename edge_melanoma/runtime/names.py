"""The TFLite interpreters and their kernels by name, and the package that brings each."""

from enum import StrEnum


class Runtime(StrEnum):
    """The interpreters in the order in which they are chosen."""

    LITERT = "ai_edge_litert"
    TFLITE_RUNTIME = "tflite_runtime"
    TF_LITE = "tf.lite"


class Kernels(StrEnum):
    """Who computes the operators."""

    DEFAULT = "default"
    BUILT_IN = "built-in"
    REFERENCE = "reference"


PACKAGE_OF_RUNTIME = {
    Runtime.LITERT: "ai-edge-litert",
    Runtime.TFLITE_RUNTIME: "tflite-runtime",
    Runtime.TF_LITE: "tensorflow",
}
