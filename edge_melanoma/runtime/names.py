"""Names that options take: engines, TFLite interpreters, their kernels, and what brings each."""

from enum import StrEnum


class Engine(StrEnum):
    """What spreads work over processes: a pool on this machine, or Ray over several."""

    LOCAL = "local"
    RAY = "ray"


class Strategy(StrEnum):
    """How a training is spread over the devices of a machine, named as tf.distribute names it."""

    NONE = "none"
    MIRRORED = "mirrored"


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
