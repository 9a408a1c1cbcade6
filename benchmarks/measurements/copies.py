"""Are copies found, at what cost: synthetic copies hidden among the pictures of real data sets.

    python benchmarks/measurements/copies.py --data DIR [--data DIR ...] [--copies 25] [--seed 1]

Makes copies of twelve kinds of pictures drawn by chance, looks for all copies in a fresh process
without a cache, and prints the share found of each kind, the copies that were taken for another
picture too, seconds, CPU seconds and peak memory.
"""

import argparse
import io
import random
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from edge_melanoma.data.images import decode_image, read_image_bytes
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.screening import screen_images
from edge_melanoma.data.sets import name_folders, read_data_sets
from edge_melanoma.machine.environment import describe_environment
from edge_melanoma.machine.files import write_json
from edge_melanoma.machine.processes import run_in_child
from edge_melanoma.machine.terminal import TerminalReporter

Change = Callable[[Image.Image, random.Random], Image.Image]


def _recompress(image: Image.Image, rng: random.Random) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=rng.randint(30, 90))
    return Image.open(stream).convert("RGB")


def _resize(image: Image.Image, rng: random.Random) -> Image.Image:
    scale = rng.uniform(0.5, 1.5)
    size = (round(image.width * scale), round(image.height * scale))
    filters = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
    return image.resize(size, rng.choice(filters))


def _cut(image: Image.Image, shares: list[float]) -> Image.Image:
    left, top, right, bottom = shares
    width, height = image.size
    box = (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
    return image.crop((round(box[0]), round(box[1]), round(box[2]), round(box[3])))


def _crop(image: Image.Image, rng: random.Random) -> Image.Image:
    return _cut(image, [rng.uniform(0.05, 0.25) for _ in range(4)])


def _crop_evenly(image: Image.Image, rng: random.Random) -> Image.Image:
    return _cut(image, [rng.uniform(0.05, 0.25)] * 4)


def _crop_a_corner(image: Image.Image, rng: random.Random) -> Image.Image:
    across, down = rng.uniform(0.05, 0.25), rng.uniform(0.05, 0.25)
    return _cut(image, rng.choice([[across, down, 0, 0], [0, 0, across, down]]))


def _crop_middle_square(image: Image.Image, rng: random.Random) -> Image.Image:
    return _cut(image, [1 / 8, 0, 1 / 8, 0]).resize((224, 224))


def _mirror(image: Image.Image, rng: random.Random) -> Image.Image:
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def _turn(image: Image.Image, rng: random.Random) -> Image.Image:
    return image.transpose(rng.choice([Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270]))


KINDS: dict[str, tuple[Change, ...]] = {
    "recompressed": (_recompress,),
    "resized": (_resize,),
    "cropped evenly": (_crop_evenly,),
    "cropped freely": (_crop,),
    "cropped to a corner": (_crop_a_corner,),
    "middle square of 4:3": (_crop_middle_square,),
    "mirrored": (_mirror,),
    "turned": (_turn,),
    "cropped, recompressed": (_crop, _recompress),
    "cropped, turned": (_crop, _turn),
    "mirrored, resized, recompressed": (_mirror, _resize, _recompress),
    "cropped, turned, resized, recompressed": (_crop, _turn, _resize, _recompress),
}


def main() -> None:
    """Make copies, search, print and write."""
    options = _parse()
    records = screen_images(read_data_sets(name_folders(options.data))).readable
    with tempfile.TemporaryDirectory() as folder:
        sources = _write_copies(records, Path(folder), copies=options.copies, seed=options.seed)
        copies = tuple(
            LesionRecord(image_id=name, path=Path(folder, name), is_malignant=False)
            for name in sources
        )
        told = run_in_child(measure_search, (*records, *copies), sources)
    told |= {"seed": options.seed, "environment": describe_environment()}
    for kind, (found, made) in told["recall"].items():
        print(f"{found:4} of {made:4} {kind}")
    print(f"{told['false_alarms']} copies taken for another picture")
    print(
        f"{told['images']} images: {told['seconds']:.0f} s, {told['cpu_seconds']:.0f} CPU s, "
        f"peak {told['peak_bytes'] / 2**20:.0f} MiB"
    )
    if options.json:
        write_json(options.json, told)


def measure_search(records: tuple[LesionRecord, ...], sources: dict[str, str]) -> dict[str, Any]:
    """Search in this process; a copy is found when it stands in the cluster of its source.

    A false alarm is a copy that pairs with a picture outside the cluster that its source has
    without it.
    """
    from edge_melanoma.data.copies.search import find_copies
    from edge_melanoma.data.screening import read_fingerprints

    started, cpu = time.monotonic(), time.process_time()
    prints = read_fingerprints(records, cache_folder=None, reporter=TerminalReporter())
    found = find_copies(prints, cache_folder=None, reporter=TerminalReporter())
    seconds, cpu_seconds = time.monotonic() - started, time.process_time() - cpu
    cluster_of = {image_id: set(cluster) for cluster in found.clusters for image_id in cluster}
    partners: dict[str, set[str]] = {}
    for pair in found.pairs:
        partners.setdefault(pair.first, set()).add(pair.second)
        partners.setdefault(pair.second, set()).add(pair.first)
    recall = {kind: [0, 0] for kind in KINDS}
    false_alarms = 0
    for copy, source in sources.items():
        tally = recall[copy.split("/")[0]]
        tally[0] += source in cluster_of.get(copy, set())
        tally[1] += 1
        own = {source, *(p for p in partners.get(source, set()) if p not in sources)}
        own |= {second for first in own for second in partners.get(first, set())}
        false_alarms += bool(partners.get(copy, set()) - own)
    return {
        "images": len(records),
        "recall": recall,
        "false_alarms": false_alarms,
        "pairs": len(found.pairs),
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def _write_copies(
    records: tuple[LesionRecord, ...], folder: Path, *, copies: int, seed: int
) -> dict[str, str]:
    """Copies below folder/<kind>/ as PNG or JPEG; their names and those of their sources."""
    rng = random.Random(seed)
    drawn = iter(rng.sample(records, copies * len(KINDS)))
    sources = {}
    for kind, changes in KINDS.items():
        (folder / kind).mkdir()
        for number in range(copies):
            record = next(drawn)
            name = f"{kind}/{number:04}.{'jpg' if number % 2 else 'png'}"
            image = Image.fromarray(
                decode_image(read_image_bytes(record.path), name=record.image_id)
            )
            for change in changes:
                image = change(image, rng)
            image.save(folder / name)
            sources[name] = record.image_id
    return sources


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--copies", type=int, default=25, help="of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
