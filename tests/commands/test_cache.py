"""What is kept of pictures is for this user alone, and goes when it is told to."""

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import CommandResult
from made import draw_pictures


def test_the_cache_is_private_and_can_be_cleared(
    edge_melanoma: Callable[..., CommandResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    draw_pictures(tmp_path / "photos", *range(4))
    edge_melanoma("data", "check", tmp_path / "photos")
    kept = tmp_path / "cache" / "edge-melanoma"
    assert any(path.is_file() for path in kept.rglob("*"))
    assert kept.stat().st_mode & 0o777 == 0o700
    told = edge_melanoma("cache", "clear")
    assert told.stdout.startswith("Removed ")
    assert not kept.exists()
    assert edge_melanoma("cache", "clear").stdout.startswith("Removed 0 files")
