"""Learning rates: a warm-up, half a cosine, or as ever."""

import pytest

from edge_melanoma.network.recipes import Stage
from edge_melanoma.training.schedules import learning_rate_at

PLAIN = Stage(name="s", unfrozen_backbone_layers=0, learning_rate=1.0, epochs=10)
COSINE = Stage(
    name="s",
    unfrozen_backbone_layers=0,
    learning_rate=1.0,
    final_learning_rate=0.2,
    warmup_steps=4,
    epochs=10,
)


def test_a_plain_stage_keeps_its_rate() -> None:
    assert {learning_rate_at(PLAIN, step=step, steps_per_epoch=5) for step in range(60)} == {1.0}


@pytest.mark.parametrize(
    ("step", "rate"),
    [(0, 0.25), (25, 0.6), (50, 0.2), (60, 0.2)],
    ids=["first of the warm-up", "half way", "the end", "after it"],
)
def test_warm_up_and_cosine(step: int, rate: float) -> None:
    assert learning_rate_at(COSINE, step=step, steps_per_epoch=5) == pytest.approx(rate, rel=0.01)
