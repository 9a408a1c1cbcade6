"""A command of which a process is killed ends soon, with a sentence, and spoils nothing."""

import random
from pathlib import Path

from children import COMMANDS, OLD, kill_one, why_lost

from edge_melanoma.data.phantoms import write_phantoms


def test_a_prediction_survives_the_death_of_a_child(tmp_path: Path) -> None:
    """At its start, and as late as there still is one: a quick machine has none after that."""
    write_phantoms(tmp_path / "data", count=4, seed=1, size=64)
    for name in ("old.csv", "old.json"):
        (tmp_path / name).write_text(OLD)
    chance = random.Random(0)
    killed = []
    for delay in (0.0, 0.3, 0.6):
        ended = kill_one(COMMANDS["predict"], tmp_path, delay=delay, chance=chance)
        assert why_lost(ended, tmp_path) is None
        killed.append(ended.killed)
        for name in ("old.csv", "old.json"):
            (tmp_path / name).write_text(OLD)
    assert killed[0]
