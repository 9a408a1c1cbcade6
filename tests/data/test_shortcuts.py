"""Statistics that separate the classes are named first, others stay near chance."""

import numpy as np

from edge_melanoma.data.statistics import ALL_TOGETHER, TrivialStatistics, measure_shortcuts

FIELDS = TrivialStatistics._fields


def statistics(count: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.random.default_rng(0).normal(size=(count, len(FIELDS)))


def test_a_telling_statistic_comes_first_and_the_others_are_near_chance() -> None:
    labels = np.arange(400) % 2 == 0
    values = statistics(400)
    values[:, FIELDS.index("jpeg_quality")] += 6 * labels
    found = measure_shortcuts(values, labels=labels, groups=_own(400))
    assert set(list(found)[:2]) == {"jpeg_quality", ALL_TOGETHER}
    assert found["jpeg_quality"] > 0.99
    assert all(0.35 < found[name] < 0.65 for name in FIELDS if name != "jpeg_quality")


def test_classes_that_differ_in_the_middle_of_a_statistic_are_seen() -> None:
    labels = np.arange(400) % 2 == 0
    values = statistics(400)
    values[:, 0] = np.where(labels, 0, np.where(np.arange(400) % 4 == 1, -1, 1))
    values[:, 0] += np.random.default_rng(1).normal(0, 0.1, 400)
    shortcuts = measure_shortcuts(values, labels=labels, groups=_own(400))
    assert shortcuts[FIELDS[0]] > 0.99


def test_copies_do_not_help_to_guess_each_other() -> None:
    labels = np.repeat(np.random.default_rng(3).random(60) < 0.5, 10)
    values = np.repeat(statistics(60), 10, axis=0)
    groups = [f"cluster {number // 10}" for number in range(600)]
    shortcuts = measure_shortcuts(values, labels=labels, groups=groups)
    assert shortcuts[ALL_TOGETHER] < 0.75


def test_nine_pictures_of_a_class_are_too_few() -> None:
    labels = np.arange(40) < 9
    assert measure_shortcuts(statistics(40), labels=labels, groups=_own(40)) == {}


def _own(count: int) -> list[str]:
    return [str(number) for number in range(count)]
