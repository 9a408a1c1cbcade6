"""The split of a training: copies are looked for first, so that none stands on two sides."""

from pathlib import Path

from edge_melanoma.data.copies.leaks import find_duplicates, mark_clusters
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.splits import DatasetSplit, SplitKind, split_lesions
from edge_melanoma.machine.progress import Reporter


def split_without_copies(
    records: tuple[LesionRecord, ...],
    *,
    kind: SplitKind,
    seed: int,
    cache_folder: Path,
    reporter: Reporter,
) -> DatasetSplit:
    """Divide readable pictures, each cluster of copies to one side, and say what that means."""
    duplicates = find_duplicates(records, reporter=reporter, cache_folder=cache_folder)
    marked = mark_clusters(records, duplicates)
    split = split_lesions(marked, kind=kind, seed=seed)
    if duplicates.clusters:
        copies = sum(len(cluster) for cluster in duplicates.clusters)
        reporter.say(
            f"Kept on one side each: {len(duplicates.clusters)} clusters of copies, "
            f"{copies} images."
        )
    if split.left_out:
        reporter.say(
            f"Left out of training: {len(split.left_out)} images that are in the test folder too, "
            f"as {len(split.leaked_test)} images there."
        )
    return split
