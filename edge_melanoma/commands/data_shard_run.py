"""What `data shard` does: folders made ready, one data set packed into them."""

from collections.abc import Sequence
from pathlib import Path

from edge_melanoma.data.cards import CARD, card_text, find_card
from edge_melanoma.data.lesions import LABELS_TABLE, list_lesions
from edge_melanoma.data.sets import tell_skipped
from edge_melanoma.data.shard_packing import SHARD_PATTERN, Packing, pack_images
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import UNFINISHED_PREFIX, write_atomically
from edge_melanoma.machine.terminal import TerminalReporter
from edge_melanoma.runs.folders import refuse_unwritable

LINK_PATTERN = "disk-*"
OWN_FILES = (LABELS_TABLE, CARD)


def shard_data(
    folder: Path, *, out: Sequence[Path], shard_megabytes: int, force: bool = False
) -> Packing:
    """Pack the data set at `folder` into shards in the folders `out`, the first with the table."""
    records = list_lesions(folder)
    first, *others = out
    _refuse_same_folders([folder, *out])
    for place in out:
        _refuse_filled(place, force=force)
        refuse_unwritable(place / LABELS_TABLE)
        place.mkdir(parents=True, exist_ok=True)
    reporter = TerminalReporter()
    tell_skipped({folder.resolve().name: folder}, records, reporter=reporter)
    card = find_card(folder)
    for place in out:
        _clear(place)
    links = [_link(first, other, number) for number, other in enumerate(others, 2)]
    packing = pack_images(
        records,
        first,
        places=[".", *links],
        shard_bytes=shard_megabytes * 10**6,
        reporter=reporter,
    )
    if card:
        write_atomically(first / CARD, card_text(card))
    print(
        f"{packing.images} images, {packing.size_bytes / 1e6:.1f} MB, in {packing.shards} "
        f"shard{'' if packing.shards == 1 else 's'} of the data set {first}"
    )
    return packing


def _refuse_same_folders(folders: Sequence[Path]) -> None:
    seen: set[Path] = set()
    for folder in folders:
        if folder.resolve() in seen:
            raise EdgeMelanomaError(
                f"{folder} is given twice; expected the folder of a data set and other folders "
                f"with --out."
            )
        seen.add(folder.resolve())


def _refuse_filled(folder: Path, *, force: bool) -> None:
    """Only what an earlier packing left may be replaced, and with --force alone."""
    if not folder.is_dir():
        return
    held = [path for path in folder.iterdir() if not path.name.startswith(".")]
    if held and not force:
        raise EdgeMelanomaError(
            f"{folder} is not empty; choose another --out, or replace the shards in it with "
            f"--force."
        )
    other = sorted(path.name for path in held if not _is_own(path))
    if other:
        raise EdgeMelanomaError(
            f"{folder} holds {other[0]}, which is no shard; choose another --out, as --force "
            f"replaces shards and their table alone."
        )


def _is_own(path: Path) -> bool:
    if path.is_symlink():
        return path.match(LINK_PATTERN)
    return path.name in OWN_FILES or path.match(SHARD_PATTERN)


def _clear(folder: Path) -> None:
    """The table first: a data set without some of its shards is never seen."""
    (folder / LABELS_TABLE).unlink(missing_ok=True)
    for path in folder.iterdir():
        if _is_own(path) or path.name.startswith(UNFINISHED_PREFIX):
            path.unlink()


def _link(first: Path, other: Path, number: int) -> str:
    """A name in the data set's folder that leads to the folder `other`, on another disk."""
    name = LINK_PATTERN.replace("*", str(number))
    (first / name).symlink_to(other.resolve(), target_is_directory=True)
    return name
