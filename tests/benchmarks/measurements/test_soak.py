"""The soak sees memory that grows, in a process and in its children, and none that does not."""

import subprocess
import sys

import pytest
import soak

HOLD = "import time; time.sleep(2.0)"
GROW = """
import time
kept = []
for _ in range(40):
    kept.append(bytearray(2_000_000))
    time.sleep(0.05)
"""
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {GROW!r}], check=True)"
IMAGES = 1000


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "SECONDS_BETWEEN_READINGS", 0.02)


def endure(code: str) -> soak.Endurance:
    return soak.run_stage("stage", [sys.executable, "-c", code], images=IMAGES)


@pytest.mark.parametrize("code", [GROW, PARENT])
def test_growth_is_seen(code: str) -> None:
    found = endure(code)
    assert found.peak_mb > 70
    assert found.late_mb - found.early_mb > 25
    assert found.bytes_a_picture == pytest.approx(80_000, rel=0.5)


def test_no_growth_is_none() -> None:
    found = endure(HOLD)
    assert abs(found.late_mb - found.early_mb) < 2


def test_a_stage_that_fails_is_no_result() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        endure("raise SystemExit(3)")


def test_the_table_shows_what_was_read() -> None:
    row = {
        "stage": "score",
        "images": 100_000,
        "cpu_seconds": 600.0,
        "early_mb": 200.0,
        "late_mb": 206.0,
        "peak_mb": 210.0,
    }
    lines = soak.render_endurance(
        {"rows": [row], "environment": {"cpu": "a processor", "cores": 2}}
    )
    assert "| score | 100,000 | 10.0 min | 200 MB | 206 MB | 210 MB | 100 bytes |" in lines
