"""Numbers of a picture that know nothing of lesions, and how well they alone tell the classes.

If they tell the classes apart, a network may learn them: one that detects cameras and clinics, and
fails where the pictures come from elsewhere.
"""

import io
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LOSSLESS_QUALITY = 100.0
ALL_TOGETHER = "all together"
FOLDS = 5
LEAST_IMAGES_A_CLASS = 10
_CORNER_SHARE = 0.08
_BORDER_SHARE = 0.05
# Annex K of the JPEG standard: the luminance table at quality 50, whose mean is 57.6.
_MEAN_STANDARD_STEP = 57.625
_STRIP_PIXELS = 1_000_000

Grey = NDArray[np.uint8]
Folds = list[tuple[NDArray[np.int64], NDArray[np.int64]]]


class TrivialStatistics(NamedTuple):
    """Colours and brightness in 0..255, sizes in pixels, file size in bits a pixel."""

    mean_red: float
    mean_green: float
    mean_blue: float
    brightness: float
    contrast: float
    corner_brightness: float
    border_brightness: float
    sharpness: float
    width: float
    height: float
    aspect: float
    bits_per_pixel: float
    jpeg_quality: float


def measure_picture(pixels: NDArray[np.uint8], *, data: bytes) -> TrivialStatistics:
    """Of the upright pixels (height, width, 3) and of the file they came from."""
    height, width = pixels.shape[:2]
    grey = np.concatenate([np.asarray(Image.fromarray(p).convert("L")) for p in _strips(pixels)])
    levels, counts = np.arange(256), Image.fromarray(grey).histogram()
    brightness = np.average(levels, weights=counts)
    contrast = np.sqrt(np.average((levels - brightness) ** 2, weights=counts))
    red, green, blue = (float(pixels[..., channel].mean()) for channel in range(3))
    return TrivialStatistics(
        mean_red=red,
        mean_green=green,
        mean_blue=blue,
        brightness=float(brightness),
        contrast=float(contrast),
        corner_brightness=_corner_brightness(grey),
        border_brightness=_border_brightness(grey),
        sharpness=_sharpness(grey),
        width=width,
        height=height,
        aspect=width / height,
        bits_per_pixel=8 * len(data) / (width * height),
        jpeg_quality=_jpeg_quality(data),
    )


def _corner_brightness(grey: Grey) -> float:
    rows, columns = (max(1, round(side * _CORNER_SHARE)) for side in grey.shape)
    bands = (grey[:rows], grey[-rows:])
    corners = [corner for band in bands for corner in (band[:, :columns], band[:, -columns:])]
    return float(np.mean([corner.mean() for corner in corners]))


def _border_brightness(grey: Grey) -> float:
    """Of the frame's edge against the whole picture: a vignette or a ruled frame."""
    rows, columns = (max(1, round(side * _BORDER_SHARE)) for side in grey.shape)
    edges = (grey[:rows], grey[-rows:], grey[:, :columns], grey[:, -columns:])
    return float(np.mean([edge.mean() for edge in edges]) - grey.mean())


def _sharpness(grey: Grey) -> float:
    """Mean difference of neighbouring pixels: low where blurred, enlarged or compressed much."""
    height, width = grey.shape
    down = sum(_sum_of_steps(rows, axis=0) for rows in _strips(grey, overlap=1))
    across = sum(_sum_of_steps(rows, axis=1) for rows in _strips(grey))
    means = down / max(1, (height - 1) * width), across / max(1, height * (width - 1))
    return float(np.mean(means))


def _sum_of_steps(grey: Grey, *, axis: int) -> int:
    return int(np.abs(np.diff(grey.astype(np.int16), axis=axis)).sum())


def _strips(pixels: NDArray[np.uint8], *, overlap: int = 0) -> Iterator[NDArray[np.uint8]]:
    """Stretches of rows: work on them takes little memory, however large the picture is."""
    rows = max(1, _STRIP_PIXELS // pixels.shape[1])
    for top in range(0, len(pixels), rows):
        yield pixels[top : top + rows + overlap]


def _jpeg_quality(data: bytes) -> float:
    """The quality setting (1 to 100) that the file's quantisation table belongs to."""
    with Image.open(io.BytesIO(data)) as image:
        tables = getattr(image, "quantization", None)
    if not tables:
        return LOSSLESS_QUALITY
    scale = 100 * float(np.mean(tables[min(tables)])) / _MEAN_STANDARD_STEP
    return float(np.clip((200 - scale) / 2 if scale <= 100 else 5000 / scale, 1, 100))


def measure_shortcuts(
    statistics: NDArray[np.float64], *, labels: NDArray[np.bool_], groups: Sequence[str]
) -> dict[str, float]:
    """The AUC of each statistic alone and of all together, by name, the worst first.

    None for fewer than 10 of a class, or 5 that are no copies. Five folds; pictures of one group,
    copies of one another, are in one fold. A single statistic is judged by a small tree, as the
    classes may differ in its middle and not in its ends.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.tree import DecisionTreeClassifier
    from threadpoolctl import threadpool_limits

    if min(labels.sum(), (~labels).sum()) < LEAST_IMAGES_A_CLASS:
        return {}
    _, firsts = np.unique(np.array(groups), return_index=True)
    if min(labels[firsts].sum(), (~labels[firsts]).sum()) < FOLDS:
        return {}
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
    return dict(sorted(aucs.items(), key=lambda item: -item[1]))


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
