"""Silence for native libraries that write past Python's stderr."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stderr_discarded() -> Iterator[None]:
    """Discard what is written to file descriptor 2.

    TensorFlow, its converter and LiteRT print there while they load, at any log level.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
