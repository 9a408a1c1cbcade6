"""What a study amounts to, in a sentence and a picture, and which choices have no part in it."""

from dataclasses import replace
from pathlib import Path

import pytest

from edge_melanoma.converters.calibration_study import (
    CalibrationStudy,
    draw_calibration_study,
    refuse_other_exports,
)
from edge_melanoma.converters.calibration_trials import Trial
from edge_melanoma.converters.settings import ExportSettings, TuningSettings
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.tflite.modes import Backend, Mode, Output

TRIAL = Trial(
    images=10,
    fingerprint="f",
    file_sha256="s",
    recall=0.75,
    specificity=1.0,
    auc=0.9,
    mean_score_difference=0.01,
    agreement=0.99,
)


def study_of(*trials: Trial, calibration_images: int = 10) -> CalibrationStudy:
    return CalibrationStudy(
        plan={
            "settings": {"calibration_images": calibration_images},
            "threshold": 0.5,
            "validation": {"name": "a$b, validation side", "malignant": 40},
        },
        reference={"recall": 0.8, "auc": 0.91},
        trials=trials,
    )


def test_the_conclusion_is_of_the_size_that_an_export_has() -> None:
    trials = [
        *(replace(TRIAL, images=10, recall=recall) for recall in (0.7, 0.8)),
        *(replace(TRIAL, images=50, recall=0.75, auc=auc) for auc in (0.90, 0.92, 0.91)),
        replace(TRIAL, images=50, recall=0.775),
    ]
    assert study_of(*trials, calibration_images=50).conclude() == (
        "With 50 images, the choice of images moves recall by 0.0250 (1 of 40 malignant images) "
        "and AUC by 0.0200; the lowest recall is 0.7500, -0.0500 against float, and recall moves "
        "most with 10 images, by 0.1000."
    )
    small, largest = (study_of(*trials, calibration_images=n).conclude() for n in (10, 200))
    assert small.startswith("With 10 images, the choice of images moves recall by 0.1000 (4 of 40")
    assert largest == study_of(*trials, calibration_images=50).conclude()


def test_the_picture_has_a_dot_for_each_subset_and_is_the_same_each_time(tmp_path: Path) -> None:
    """The means are equal, so that the dots alone can differ."""
    near, far = (0.75, 0.8, 0.7), (0.75, 0.85, 0.65)
    first, again, recall, auc = (
        draw_calibration_study(
            study_of(
                *(
                    replace(TRIAL, recall=recall, auc=auc)
                    for recall, auc in zip(recalls, aucs, strict=True)
                ),
                replace(TRIAL, images=50),
            ),
            tmp_path / f"{number}.png",
        ).read_bytes()
        for number, (recalls, aucs) in enumerate(
            ((near, near), (near, near), (far, near), (near, far))
        )
    )
    assert first == again
    assert len({first, recall, auc}) == 3


@pytest.mark.parametrize(
    ("settings", "modes", "sentence"),
    [
        (
            ExportSettings(),
            (Mode.FLOAT32, Mode.INT8, Mode.INT8_QAT),
            "--calibration-study repeats int8 alone; leave --quantize out.",
        ),
        (
            ExportSettings(),
            (Mode.FLOAT32,),
            "--calibration-study repeats int8 alone; leave --quantize out.",
        ),
        *(
            (
                settings,
                (Mode.FLOAT32, Mode.INT8),
                f"{option} has no part in --calibration-study, which repeats int8 as calibration "
                f"alone makes it; leave one of the two out.",
            )
            for settings, option in (
                (ExportSettings(max_recall_drop=0.0), "--max-recall-drop"),
                (ExportSettings(tuning=TuningSettings(epochs=4)), "--qat-epochs"),
                (ExportSettings(tuning=TuningSettings(learning_rate=0)), "--qat-learning-rate"),
            )
        ),
        (
            ExportSettings(output=Output.FLOAT32, backend=Backend.LITERT),
            (Mode.INT8,),
            "--output float32 is made by --backend converter only; choose that, or --output logit.",
        ),
    ],
)
def test_a_choice_without_a_part_in_the_study_is_refused(
    settings: ExportSettings, modes: tuple[Mode, ...], sentence: str
) -> None:
    with pytest.raises(EdgeMelanomaError) as caught:
        refuse_other_exports(settings, modes)
    assert str(caught.value) == sentence


def test_int8_alone_or_with_the_float_file_is_what_a_study_is_of() -> None:
    refuse_other_exports(ExportSettings(), (Mode.INT8,))
    refuse_other_exports(ExportSettings(output=Output.LOGIT), (Mode.FLOAT32, Mode.INT8))
