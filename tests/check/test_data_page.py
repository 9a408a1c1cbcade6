"""The page shows findings with their pictures, and statistics as bars of both classes."""

from pathlib import Path

from copied_lesions import COPIES, draw, write_lesions

from edge_melanoma.check.report import examine_data, list_removals, render_page
from edge_melanoma.machine.terminal import SilentReporter


def page_of(folder: Path) -> str:
    report = examine_data({"a set": folder}, cache_folder=None, reporter=SilentReporter())
    return render_page(report, list_removals(report))


def test_the_three_worst_statistics_are_drawn_with_examples_of_both_classes(
    tmp_path: Path,
) -> None:
    write_lesions(tmp_path, count=24)
    page = page_of(tmp_path)
    assert page.count("<svg") == 3
    assert page.count('class="benign"') == page.count('class="malignant"') == 3 * 24
    assert page.count("<img") == 3 * (6 + 6)
    assert "all together" in page


def test_a_group_of_copies_is_shown_with_the_names_of_its_files(tmp_path: Path) -> None:
    write_lesions(tmp_path, count=6)
    COPIES["mirrored"](draw(0)).save(tmp_path / "benign/mirrored.png")
    page = page_of(tmp_path)
    assert "<h2>Near duplicates: 1</h2>" in page
    assert page.count("<figcaption>") == 2
    assert "<figcaption>benign/mirrored.png</figcaption>" in page
    assert "<h2>Leaks" not in page
