"""The learning rate of every step of a stage."""

import math

from edge_melanoma.network.recipes import Stage


def learning_rate_at(stage: Stage, *, step: int, steps_per_epoch: int) -> float:
    """Of the step number `step` from the stage's beginning, counted from 0.

    Linear warm-up, then half a cosine from `learning_rate` to `final_learning_rate` over all steps
    of the stage (Loshchilov and Hutter, 2017, without restarts); constant where no final one is
    given.
    """
    warmth = min(1.0, (step + 1) / stage.warmup_steps) if stage.warmup_steps else 1.0
    if stage.final_learning_rate is None:
        return warmth * stage.learning_rate
    progress = min(1.0, step / max(1, stage.epochs * steps_per_epoch))
    share = (1 + math.cos(math.pi * progress)) / 2
    fall = stage.learning_rate - stage.final_learning_rate
    return warmth * (stage.final_learning_rate + share * fall)
