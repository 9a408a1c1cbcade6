"""TensorFlow and tf_keras, imported in one place and quietly.

Quantization-aware training works on tf_keras alone, so every network is one of tf_keras.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from edge_melanoma.errors import MissingExtraError


@contextmanager
def stderr_discarded() -> Iterator[None]:
    """Silence file descriptor 2: TensorFlow prints there while it loads, even at the quietest log level."""
    sys.stderr.flush()
    saved = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def _import_quietly() -> tuple[Any, Any]:
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow's default gives every large tensor back to the system: forward passes of batches of 64
    # took 41 CPU ms an image without this allocator and 15 with it, the page faults being the rest.
    os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "true")
    # A GPU would change the last digits, and the claim is about phones: training runs on the CPU.
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    try:
        with stderr_discarded():
            import tensorflow
            import tf_keras as keras
    except ImportError as error:
        raise MissingExtraError(
            package=error.name or "tensorflow", extra="train", purpose="This command"
        ) from error
    tensorflow.get_logger().setLevel("ERROR")
    return tensorflow, keras


tf, tf_keras = _import_quietly()
