"""TensorFlow and tf_keras, imported in one place and quietly.

Quantization-aware training works on tf_keras alone, so every network is one of tf_keras.
"""

import os
from typing import Any

from edge_melanoma.errors import MissingExtraError
from edge_melanoma.machine.processes import stderr_discarded


def _import_quietly() -> tuple[Any, Any]:
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # By default every large tensor goes back to the system: forward passes of batches of 64 took
    # 41 CPU ms an image without this allocator and 15 with it, page faults being the difference.
    os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "true")
    # A GPU would change the last digits, and the claim is about phones: training runs on the CPU.
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    try:
        with stderr_discarded():
            import tensorflow
            import tf_keras as keras
    except ImportError as error:
        raise MissingExtraError.for_package(
            error.name or "tensorflow", extra="train", purpose="This command"
        ) from error
    tensorflow.get_logger().setLevel("ERROR")
    return tensorflow, keras


tf, tf_keras = _import_quietly()


def make_deterministic(seed: int) -> None:
    """Let every operator give the same bits again, from now on and in this process.

    Faster kernels whose sums depend on the timing of threads are not used; those that have no
    other way raise. Operators that draw by chance begin at `seed`.
    """
    tf_keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
