"""The TFLite interpreters by name, and the package that brings each."""

from enum import StrEnum


class Runtime(StrEnum):
    """The interpreters in the order in which they are chosen."""

    LITERT = "ai_edge_litert"
    TFLITE_RUNTIME = "tflite_runtime"
    TF_LITE = "tf.lite"


PACKAGE_OF_RUNTIME = {
    Runtime.LITERT: "ai-edge-litert",
    Runtime.TFLITE_RUNTIME: "tflite-runtime",
    Runtime.TF_LITE: "tensorflow",
}
