"""Peak memory of a training must not grow with the data set: shown with generated pictures.

    python -m edge_melanoma.benchmarks.training_memory [--images 1000] [--times 10]

Trains one epoch on N and on ten times N pictures, each in a fresh process, and prints the peak
resident memory of both and the growth an image.
"""

import argparse
import tempfile
from pathlib import Path

from edge_melanoma.benchmarks.training_speed import measure_training
from edge_melanoma.child_process import run_in_child
from edge_melanoma.integrity import screen_images
from edge_melanoma.lesions import read_lesions
from edge_melanoma.phantoms import write_phantoms
from edge_melanoma.variants import Variant

SIZE = 64
"""Side of the generated pictures in pixels: quick to draw, and all are 224 to the network."""

MEBIBYTE = 1024**2


def main() -> None:
    """Draw, train twice and print."""
    options = _parse()
    peaks = []
    with tempfile.TemporaryDirectory() as parent:
        for count in (options.images, options.images * options.times):
            folder = Path(parent, str(count))
            write_phantoms(folder, count=count, seed=0, size=SIZE)
            records = screen_images(read_lesions(folder)).readable
            measured = run_in_child(
                measure_training, records, options.variant, "none", 0, True, epochs=1
            )
            peaks.append(measured["peak_bytes"])
            print(f"{count} images: peak {peaks[-1] / MEBIBYTE:.0f} MiB", flush=True)
    more = options.images * (options.times - 1)
    print(f"growth {(peaks[1] - peaks[0]) / more:.0f} bytes an image")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--variant", default=Variant.FROZEN.value)
    return parser.parse_args()


if __name__ == "__main__":
    main()
