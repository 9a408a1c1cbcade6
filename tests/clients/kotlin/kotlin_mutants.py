"""Changed lines that the golden vectors must notice: a check that cannot fail proves nothing."""

from pathlib import Path
from typing import NamedTuple

from edge_melanoma.errors import EdgeMelanomaError

SHIPPED = Path(__file__).parents[3] / "android_assets/app/src/main/kotlin/org/edgemelanoma"


class Mutant(NamedTuple):
    """A file of the shipped Kotlin, a text in it, and what is put in its place."""

    file: str
    text: str
    instead: str


MUTANTS = {
    "sums are cut off, not rounded": Mutant("LesionPreprocessor.kt", "fill(HALF)", "fill(0)"),
    "blue before red": Mutant(
        "LesionPreprocessor.kt",
        "red += (pixel shr 16 and 0xFF) * weight",
        "red += (pixel and 0xFF) * weight",
    ),
    "the gate forgets its sides": Mutant(
        "ModelInfo.kt", "if (index >= first && value < 0) 0L else", "if (index < 0) 0L else"
    ),
    "grey of other weights": Mutant("PhotoFaults.kt", "77 * red + 150", "76 * red + 151"),
    "counts of half the distance": Mutant("PictureCounts.kt", "distance * 1000", "distance * 500"),
    "a turned picture is mirrored": Mutant(
        "Orientation.kt",
        "(6, swapsSides = true, mirrorsColumns = false, mirrorsRows = true)",
        "(6, swapsSides = true, mirrorsColumns = false, mirrorsRows = false)",
    ),
}


def write_mutant(name: str, folder: Path) -> Path:
    """The changed file, in `folder`.

    Raises:
        EdgeMelanomaError: the text is no longer in the file exactly once.
    """
    mutant = MUTANTS[name]
    source = (SHIPPED / mutant.file).read_text(encoding="utf-8")
    if source.count(mutant.text) != 1:
        raise EdgeMelanomaError(
            f"{mutant.file} does not hold {mutant.text!r} exactly once; "
            f"bring the mutant {name!r} in {Path(__file__).name} up to date."
        )
    folder.mkdir()
    path = folder / mutant.file
    path.write_text(source.replace(mutant.text, mutant.instead), encoding="utf-8")
    return path
