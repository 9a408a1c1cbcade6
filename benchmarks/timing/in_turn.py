"""Models timed in turn, burst by burst, so that a noisy machine hits all of them alike."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edge_melanoma.benchmarks.settings import TimingSettings
from edge_melanoma.benchmarks.timing import latency
from edge_melanoma.benchmarks.timing.models import (
    TimedModel,
    Times,
    count_xnnpack_parts,
    open_here,
    time_burst,
    time_files,
    time_predict,
)
from edge_melanoma.machine.processes import ProcessPool

BURST = 10
"""Invocations on end before the next model has its turn: about 50 ms of a quantised model."""
PASSES = 2
END_TO_END_RUNS = 50
PREDICT_RUNS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnTimes:
    """What one model gave in its turns on one number of threads.

    `end_to_end` are milliseconds from a file on disk to a score, for parity.json.
    """

    samples: latency.LatencySamples
    end_to_end: Mapping[str, float]
    predict_p50_ms: float | None
    xnnpack_parts: int | None


@dataclass(slots=True)
class _Turns:
    """One model in one pass: its process and the times so far."""

    pool: ProcessPool
    times: Times = field(default_factory=list)
    files: Times = field(default_factory=list)
    predict: Times | None = None
    xnnpack_parts: int | None = None

    def ask(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return self.pool.submit(function, *arguments).result()


def time_in_turn(
    models: Mapping[str, TimedModel],
    paths: Sequence[Path],
    *,
    settings: TimingSettings,
    threads: int,
    say: Callable[[str], None],
) -> dict[str, TurnTimes]:
    """Time every model on the first of `paths`, and end to end on some of them, in two passes.

    Each pass starts a fresh process for each model: memory lies differently there, so that the
    two passes differ as two runs of the whole would.
    """
    start, own_before = latency.read_moment(), time.process_time()
    passes, own = [], 0.0
    for number in range(1, PASSES + 1):
        # A bar that moves would take time from what is timed.
        most = len(models) * settings.max_seconds / PASSES
        limit = f", at most {most:.0f} s" if math.isfinite(most) else ""
        told = f"{len(models)} models in turn, {threads} thread{'' if threads == 1 else 's'}"
        say(f"Timing {told}, pass {number} of {PASSES}{limit}")
        turns, seconds = _run_pass(models, paths, settings, threads)
        passes.append(turns)
        own += seconds
    own += time.process_time() - own_before
    others = latency.cores_of_others(start, latency.read_moment(), own_seconds=[own])
    return {
        name: _gather([turns[name] for turns in passes], settings.warmup, threads, others)
        for name in models
    }


def _run_pass(
    models: Mapping[str, TimedModel], paths: Sequence[Path], settings: TimingSettings, threads: int
) -> tuple[dict[str, _Turns], float]:
    """The times of all models, and the CPU seconds of their processes."""
    files = [paths[number % len(paths)] for number in range(min(END_TO_END_RUNS, settings.runs))]
    with ExitStack() as stack:
        turns = {name: _Turns(pool=stack.enter_context(ProcessPool(1))) for name in models}
        for name, model in models.items():
            turns[name].ask(open_here, model, threads, paths[0], settings.warmup)
            turns[name].xnnpack_parts = turns[name].ask(count_xnnpack_parts)
        waiting = list(turns.values())
        while waiting:
            for turn in waiting:
                turn.times += turn.ask(time_burst, _burst_size(turn.times, settings))
            waiting = [turn for turn in waiting if not _is_enough(turn.times, settings)]
        for start in range(0, len(files), BURST):
            for turn in turns.values():
                turn.files += turn.ask(time_files, files[start : start + BURST])
        for turn in turns.values():
            turn.predict = turn.ask(time_predict, min(PREDICT_RUNS, settings.runs))
        seconds = sum(turn.ask(time.process_time) for turn in turns.values())
    return turns, seconds


def runs_a_pass(settings: TimingSettings) -> int:
    """How often a pass runs a model at least."""
    return -(-settings.runs // PASSES)


def _burst_size(times: Times, settings: TimingSettings) -> int:
    left = runs_a_pass(settings) - len(times)
    return min(BURST, left) if left > 0 else BURST


def _is_enough(times: Times, settings: TimingSettings) -> bool:
    """Whether a pass has its share of the runs and of the seconds."""
    seconds = PASSES * sum(wall for wall, _ in times) / 1e9
    whole = len(times) >= runs_a_pass(settings) and seconds >= settings.min_seconds
    return whole or seconds >= settings.max_seconds


def _gather(passes: Sequence[_Turns], warmup: int, threads: int, others: float | None) -> TurnTimes:
    first, second = passes
    wall, cpu = zip(*first.times, *second.times, strict=True)
    predict = [wall for wall, _ in [*(first.predict or []), *(second.predict or [])]]
    return TurnTimes(
        samples=latency.LatencySamples(
            wall_ns=wall,
            cpu_ns=cpu,
            warmup=warmup,
            threads=threads,
            first_pass=len(first.times),
            others_cores=others,
        ),
        end_to_end=end_to_end_ms([*first.files, *second.files]),
        predict_p50_ms=float(np.median(predict)) / latency.NANOSECONDS_A_MILLISECOND
        if predict
        else None,
        xnnpack_parts=first.xnnpack_parts,
    )


def end_to_end_ms(times: Times) -> dict[str, float]:
    """Percentiles of the whole, and the medians of its three parts by wall clock and of all CPU.

    `times` are those of `time_files`.
    """
    decode, resize, invoke, cpu = np.array(times, np.float64).T / latency.NANOSECONDS_A_MILLISECOND
    whole = decode + resize + invoke
    return {
        **{f"p{share}": float(np.percentile(whole, share)) for share in latency.PERCENTILES},
        "cpu_p50": float(np.median(cpu)),
        "decode_p50": float(np.median(decode)),
        "resize_p50": float(np.median(resize)),
        "invoke_p50": float(np.median(invoke)),
        "runs": len(whole),
    }
