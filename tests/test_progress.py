"""Progress in a log: how far, and how long it will take."""

import pytest

from edge_melanoma import progress
from edge_melanoma.progress import TerminalReporter


def test_a_log_tells_how_many_and_how_many_seconds_are_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, 5.0, 5.0, 6.0, 7.0, 20.0, 20.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 4.0)
    assert list(TerminalReporter().track("abcd", label="Reading", total=4)) == list("abcd")
    # The first item took 5 s, and so will each of the other three; the fourth came at 20 s.
    assert capsys.readouterr().err.splitlines() == [
        "Reading: 1 of 4, about 15 s left",
        "Reading: 4 of 4, about 0 s left",
    ]
