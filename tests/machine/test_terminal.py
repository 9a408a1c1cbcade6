"""Progress in a log: how far, and how long it will take."""

import pytest

from edge_melanoma.machine import terminal
from edge_melanoma.machine.terminal import TerminalReporter


def test_a_log_tells_how_many_and_how_many_seconds_are_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # The start, then each item as it has gone by: 5 s for the first, 3 s for each of the others.
    clock = iter([0.0, 5.0, 8.0, 11.0, 14.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    monkeypatch.setattr(terminal, "SECONDS_BETWEEN_LINES", 4.0)
    assert list(TerminalReporter().track("abcd", label="Reading", total=4)) == list("abcd")
    assert capsys.readouterr().err.splitlines() == [
        "Reading: 1 of 4",
        "Reading: 3 of 4, about 3 s left",
    ]
