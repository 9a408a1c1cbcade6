"""What is tried before it is trusted: an interpreter, and a model from elsewhere.

A .tflite file that no hash vouches for runs once before it is believed, where it can do no harm: in
a process with a limit of memory and of time. A classifier's graph has no loops: what one picture
takes, every picture takes.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from edge_melanoma.data.images import UnreadableImageError
from edge_melanoma.errors import ChildDiedError, EdgeMelanomaError
from edge_melanoma.machine.processes import run_in_child, run_limited
from edge_melanoma.runs.converted import ConvertedModel
from edge_melanoma.runtime.interpreters import (
    Answer,
    SessionSettings,
    answer_file,
    load_interpreter_class,
)
from edge_melanoma.runtime.names import PACKAGE_OF_RUNTIME, Runtime

TRIAL_SECONDS = 18.0
PICTURE_SECONDS = 10.0
"""More than any picture takes that is read, and its model, where the trial takes its time."""

LEVELS = (0, 128, 255)
"""Black, grey and white: numbers that overflow do so at the ends."""


def choose_runtime(wanted: Runtime | None) -> Runtime:
    """`wanted`, or the first of the interpreters that runs here.

    Raises:
        EdgeMelanomaError: it does not run here; the sentence says why and what to install.
    """
    for runtime in [wanted] if wanted else list(Runtime):
        reason = probe_runtime(runtime)
        if reason is None:
            return runtime
    package = PACKAGE_OF_RUNTIME[wanted or Runtime.LITERT]
    raise EdgeMelanomaError(
        f"The interpreter {wanted or 'ai_edge_litert'} does not run here: {reason}; "
        f"install it with: pip install {package}"
    )


@cache
def probe_runtime(runtime: Runtime) -> str | None:
    """None if the interpreter loads in a process of its own, else the reason why not.

    Constructing is what shows it: tflite-runtime imports beside NumPy 2 and fails only later.
    """
    try:
        run_in_child(_probe, runtime)
    except ChildDiedError:
        return "its process died"
    except (EdgeMelanomaError, ImportError, SystemError, AttributeError) as error:
        return str(error).strip().splitlines()[0]
    return None


def _probe(runtime: Runtime) -> None:
    try:
        load_interpreter_class(runtime)(model_content=b"")
    except (ValueError, RuntimeError):
        # An interpreter that refuses an empty model is one that works.
        return


def try_model(model: ConvertedModel, *, runtime: Runtime) -> None:
    """Raise where the model does not survive its trial; one that is vouched for needs none.

    Raises:
        EdgeMelanomaError: the interpreter refuses it, or it gives no probabilities.
        ChildDiedError: it ended its process, took too much memory or too long.
    """
    if model.is_vouched_for:
        return
    try_and_answer(model, (), runtime=runtime)


def try_and_answer(
    model: ConvertedModel, files: Sequence[Path], *, runtime: Runtime
) -> list[Answer | UnreadableImageError]:
    """What a model says of a few pictures, and its trial before, in one process.

    Raises:
        EdgeMelanomaError, ChildDiedError: as `try_model` does.
    """
    settings = SessionSettings(
        data=model.data,
        name=model.path.name,
        runtime=runtime,
        ends=model.ends,
        gate=model.gate,
    )
    levels = () if model.is_vouched_for else LEVELS
    seconds = None if model.is_vouched_for else TRIAL_SECONDS + PICTURE_SECONDS * len(files)
    what = f"The model {model.path}"
    return run_limited(_answer_all, settings, levels, files, what=what, seconds=seconds)


def _answer_all(
    settings: SessionSettings, levels: Sequence[int], files: Sequence[Path]
) -> list[Answer | UnreadableImageError]:
    session = settings.open()
    for level in levels:
        session.score(np.full((session.image_size, session.image_size, 3), level, np.uint8))
    return [answer_file(session, file) for file in files]
