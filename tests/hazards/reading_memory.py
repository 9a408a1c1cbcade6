"""Prints how many MB reading the pictures of stdin, NUL-separated, adds to this process's peak."""

import contextlib
import os
import sys
import tempfile
from pathlib import Path

from PIL import Image

from edge_melanoma.benchmarks.timing.cold_start import peak_rss_mb
from edge_melanoma.data.images import UnreadableImageError, read_image


def main() -> None:
    """Read every picture once; a first, small one loads the libraries."""
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder, "small.png")
        Image.new("RGB", (8, 8)).save(small)
        read_image(small)
    before = peak_rss_mb()
    for name in sys.stdin.buffer.read().split(b"\0"):
        with contextlib.suppress(UnreadableImageError):
            read_image(Path(os.fsdecode(name)))
    print(peak_rss_mb() - before)


if __name__ == "__main__":
    main()
