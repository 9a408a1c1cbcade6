"""What `bench` looks into when asked: kernels, preprocessing mistakes, stability, a phone."""

from dataclasses import dataclass, replace

from edge_melanoma.benchmarks.parity.answers import ends_of
from edge_melanoma.benchmarks.parity.scoring import Scoring
from edge_melanoma.benchmarks.sections import ReportSection
from edge_melanoma.benchmarks.settings import StudySettings, TimingSettings
from edge_melanoma.benchmarks.studies import kernels
from edge_melanoma.benchmarks.studies.mistakes import mistake_section, price_mistakes
from edge_melanoma.benchmarks.studies.phone import (
    Phone,
    open_phone,
    phone_section,
    time_on_phone,
)
from edge_melanoma.benchmarks.studies.stability import measure_stability, stability_section
from edge_melanoma.data.images import IMAGE_SIZE
from edge_melanoma.data.lesions import spread
from edge_melanoma.errors import EdgeMelanomaError

PRICED_MODE = "int8"
"""Whose mistakes are priced, where it was exported; else those of the first file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Studies:
    """The asked studies, with what they need found: nothing is missed after long work only."""

    settings: StudySettings
    kernel_paths: tuple[kernels.KernelPath, ...]
    phone: Phone | None

    def run(
        self, scoring: Scoring, *, timing: TimingSettings, sections: tuple[ReportSection, ...]
    ) -> tuple[ReportSection, ...]:
        """`sections` with what was found added."""
        found, reporter = list(sections), scoring.reporter
        # Named by the mode, as the tables are.
        models = [
            replace(settings, name=mode) for mode, settings in scoring.session_settings().items()
        ]
        if self.phone is not None:
            report = time_on_phone(self.phone, scoring.exports, settings=timing, say=reporter.say)
            found.append(phone_section(report))
        if self.settings.mistakes:
            priced = next((one for one in models if one.name == PRICED_MODE), models[0])
            threshold = scoring.run.threshold
            prices = price_mistakes(priced, scoring.records, threshold=threshold, reporter=reporter)
            found.append(mistake_section(prices))
        if self.settings.stability:
            told = measure_stability(
                models,
                scoring.records,
                thresholds={one.mode: ends_of(one, scoring.run) for one in scoring.exports},
                reporter=reporter,
            )
            found.append(stability_section(told))
        if self.settings.kernels:
            outcomes = kernels.compare_kernels(
                models,
                spread(scoring.records, limit=self.settings.kernel_images),
                self.kernel_paths,
                threshold=scoring.run.threshold,
                size=scoring.run.image_size,
                reporter=reporter,
            )
            found.append(kernels.kernel_section(outcomes))
        return tuple(found)


def prepare_studies(settings: StudySettings, *, image_size: int = IMAGE_SIZE) -> Studies:
    """Find the phone and the interpreters that are asked for.

    Raises:
        EdgeMelanomaError: one of them is not there, or an option is given that needs another.
    """
    if settings.interpreter_python is not None and not settings.kernels:
        raise EdgeMelanomaError("--interpreter-python is for --kernels; give both.")
    if settings.benchmark_binary is not None and not settings.adb:
        raise EdgeMelanomaError("--benchmark-binary is for --adb; give both.")
    if settings.mistakes and image_size != IMAGE_SIZE:
        raise EdgeMelanomaError(
            f"--mistakes is for networks of {IMAGE_SIZE} pixels, and this one sees {image_size}; "
            f"leave it out."
        )
    return Studies(
        settings=settings,
        phone=open_phone(settings.benchmark_binary) if settings.adb else None,
        kernel_paths=kernels.list_paths(settings.interpreter_python) if settings.kernels else (),
    )
