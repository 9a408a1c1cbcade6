"""A model of which nothing is known can end its own process and no other."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bad_images import encode, pattern
from models import Guard, Outcome, try_mutations
from PIL import Image
from tflite_files import mean_model

from edge_melanoma.errors import ChildDiedError, EdgeMelanomaError
from edge_melanoma.machine.processes import MEMORY_BYTES, limit_memory, run_limited
from edge_melanoma.runs.bundled import bundled_model
from edge_melanoma.runs.converted import open_converted
from edge_melanoma.runtime import trial
from edge_melanoma.runtime.interpreters import SessionSettings, TFLiteSession
from edge_melanoma.runtime.names import Runtime
from edge_melanoma.runtime.trial import try_model
from edge_melanoma.tflite.quantization import ScoreTensor, TensorQuantization

Run = Callable[..., Any]


def _die() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _leave() -> None:
    os._exit(7)


def _hoard() -> int:
    limit_memory()
    return len(np.ones(2 * MEMORY_BYTES, np.uint8))


def _sleep() -> None:
    time.sleep(60)


def _refuse() -> None:
    raise EdgeMelanomaError("It is refused.")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (_die, "The model a cannot be used: the process that ran it died by SIGSEGV."),
        (_leave, "The model a cannot be used: the process that ran it died with exit code 7."),
        (_hoard, "The model a cannot be used: it needs more than 768 MB of memory."),
    ],
)
def test_the_death_of_a_limited_process_is_a_sentence(
    function: Callable[[], None], message: str
) -> None:
    with pytest.raises(ChildDiedError) as caught:
        run_limited(function, what="The model a", seconds=50)
    assert str(caught.value) == message


def test_a_limited_process_that_hangs_is_ended() -> None:
    start = time.monotonic()
    with pytest.raises(ChildDiedError) as caught:
        run_limited(_sleep, what="The model a", seconds=1)
    assert str(caught.value) == "The model a cannot be used: it took longer than 1 s."
    assert time.monotonic() - start < 20


def test_a_refusal_in_a_limited_process_is_raised_here_and_a_result_returned() -> None:
    with pytest.raises(EdgeMelanomaError) as caught:
        run_limited(_refuse, what="The model a", seconds=50)
    assert str(caught.value) == "It is refused."
    assert run_limited(max, 3, 7, what="The model a", seconds=50) == 7


def test_a_model_that_is_vouched_for_is_not_tried_and_another_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []
    monkeypatch.setattr(trial, "run_limited", lambda *_, what, **__: tried.append(what))
    lone = tmp_path / "lone.tflite"
    lone.write_bytes(mean_model(tensor="a", signature="b"))
    for path in (bundled_model(), lone):
        try_model(open_converted(path), runtime=Runtime.LITERT)
    assert tried == [f"The model {lone}"]


def test_a_number_that_is_no_probability_is_refused() -> None:
    data = mean_model(tensor="a", signature="b")
    session = TFLiteSession(SessionSettings(data=data, name="a.tflite", runtime=Runtime.LITERT))
    outside = TensorQuantization(dtype="int8", scale=1.0, zero_point=0)
    session.score_tensor = ScoreTensor(name="p_malignant", quantization=outside)
    with pytest.raises(EdgeMelanomaError) as caught:
        session.score(np.full((224, 224, 3), 255, np.uint8))
    assert str(caught.value) == (
        "a.tflite is no lesion classifier: for a picture it gave 24, which is no probability; "
        "if these are logits, give --logit."
    )


def test_predict_runs_a_file_from_elsewhere_and_tells_of_its_death_in_one_line(
    tmp_path: Path, edge_melanoma: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    lone, picture = tmp_path / "lone.tflite", tmp_path / "a.png"
    lone.write_bytes(mean_model(tensor="a", signature="b"))
    picture.write_bytes(encode(Image.fromarray(pattern()), "PNG"))
    assert edge_melanoma("predict", lone, picture).exit_code == 0
    monkeypatch.setattr(trial, "_answer_all", _die_of)
    result = edge_melanoma("predict", lone, picture)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f"edge-melanoma: The model {lone} cannot be used: the process that ran it died by "
        "SIGSEGV.\n"
    )


def _die_of(*_: object) -> None:
    _die()


@pytest.mark.parametrize("guard", [Guard.MANIFEST, Guard.SEAL])
def test_a_damaged_file_with_a_hash_is_refused_or_as_before(guard: Guard) -> None:
    trials = try_mutations(guard, range(36))
    allowed = {Outcome.REFUSED} if guard is Guard.MANIFEST else {Outcome.REFUSED, Outcome.SAME}
    assert {trial.outcome for trial in trials} <= allowed


def test_a_damaged_file_from_elsewhere_neither_crashes_nor_hangs() -> None:
    trials = try_mutations(Guard.NOTHING, range(100, 124))
    assert not [trial for trial in trials if trial.outcome is Outcome.FAILED]
    assert sum(trial.outcome is Outcome.REFUSED for trial in trials) >= 10
