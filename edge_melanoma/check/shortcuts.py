"""How well trivial statistics alone tell the classes of a data set apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.statistics import TrivialStatistics

ALL_TOGETHER = "all together"
FOLDS = 5
LEAST_IMAGES_A_CLASS = 10

Folds = list[tuple[NDArray[np.int64], NDArray[np.int64]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortcut:
    """A statistic and the cross-validated AUC with which it alone separates the classes."""

    feature: str
    auc: float


def measure_shortcuts(
    statistics: NDArray[np.float64], *, labels: NDArray[np.bool_], groups: Sequence[str]
) -> tuple[Shortcut, ...]:
    """Each statistic alone and all together, the worst first; none for fewer than 10 of a class.

    Five folds; pictures of one group, copies of one another, are in one fold. A single statistic
    is judged by a small tree, as the classes may differ in its middle and not in its ends.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.tree import DecisionTreeClassifier
    from threadpoolctl import threadpool_limits

    if min(labels.sum(), (~labels).sum()) < LEAST_IMAGES_A_CLASS:
        return ()
    folds = _folds(labels, groups)
    leaf = max(5, len(labels) // 100)
    tree = DecisionTreeClassifier(max_depth=4, min_samples_leaf=leaf, random_state=0)
    aucs = {
        feature: _cross_validated_auc(tree, statistics[:, [column]], labels, folds)
        for column, feature in enumerate(TrivialStatistics._fields)
    }
    forest = HistGradientBoostingClassifier(
        max_iter=60, max_leaf_nodes=15, min_samples_leaf=min(20, leaf), random_state=0
    )
    with threadpool_limits(1, user_api="openmp"):  # on a busy machine its threads wait in turns
        aucs[ALL_TOGETHER] = _cross_validated_auc(forest, statistics, labels, folds)
    found = [Shortcut(feature=feature, auc=auc) for feature, auc in aucs.items()]
    return tuple(sorted(found, key=lambda shortcut: -shortcut.auc))


def _folds(labels: NDArray[np.bool_], groups: Sequence[str]) -> Folds:
    """Stratified by class over groups: each group is dealt as its first picture's class."""
    from sklearn.model_selection import StratifiedKFold

    names, firsts, group_of = np.unique(np.array(groups), return_index=True, return_inverse=True)
    dealer = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    fold_of_group = np.zeros(len(names), dtype=np.int64)
    for fold, (_, held) in enumerate(dealer.split(firsts, labels[firsts])):
        fold_of_group[held] = fold
    folds = fold_of_group[group_of]
    return [(np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)) for fold in range(FOLDS)]


def _cross_validated_auc(
    model: Any, statistics: NDArray[np.float64], labels: NDArray[np.bool_], folds: Folds
) -> float:
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import cross_val_predict

    scores = cross_val_predict(model, statistics, labels, cv=folds, method="predict_proba")[:, 1]
    return round(float(roc_auc_score(labels, scores)), 4)
