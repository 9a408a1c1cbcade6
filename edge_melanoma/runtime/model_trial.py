"""A .tflite file that no hash vouches for runs once before it is believed, where it can do no harm.

The trial has a process, a limit of memory and a limit of time of its own. A classifier's graph has
no loops: what one picture takes, every picture takes.
"""

import numpy as np

from edge_melanoma.data.images import IMAGE_SIZE
from edge_melanoma.machine.child_process import run_limited
from edge_melanoma.runs.artifacts import ConvertedModel
from edge_melanoma.runtime.interpreters import SessionSettings, open_limited_session
from edge_melanoma.runtime.runtimes import Runtime

TRIAL_SECONDS = 18.0
LEVELS = (0, 128, 255)
"""Black, grey and white: numbers that overflow do so at the ends."""


def try_model(model: ConvertedModel, *, runtime: Runtime) -> None:
    """Raise where the model does not survive its trial; one that is vouched for needs none.

    Raises:
        EdgeMelanomaError: the interpreter refuses it, or it gives no probabilities.
        ChildDiedError: it ended its process, took too much memory or too long.
    """
    if model.is_vouched_for:
        return
    settings = SessionSettings(data=model.data, name=model.path.name, runtime=runtime)
    run_limited(_try, settings, what=f"The model {model.path}", seconds=TRIAL_SECONDS)


def _try(settings: SessionSettings) -> None:
    session = open_limited_session(settings)
    for level in LEVELS:
        session.score(np.full((IMAGE_SIZE, IMAGE_SIZE, 3), level, np.uint8))
