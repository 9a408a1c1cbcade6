"""The pictures of README: a bench explained, the page of a bench, and the page in the browser.

    python tests/documents/screenshots.py --report REPORT --web FOLDER --out FOLDER

REPORT is the report.html of a bench on generated pictures, FOLDER what `make clients-web` leaves of
its page. The explained bench is that of docs/quickstart.txt. `make screenshots` makes all of it.
"""

import argparse
import html
import io
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from PIL import Image

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import write_atomically

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "docs" / "quickstart.txt"
ARGUMENTS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
COLOURS = 96
"""Of a picture's palette: text stays sharp, and a page takes some 60 kB."""
LARGEST_BYTES = 150_000
NOTES = (
    (r"int8\s+[A-Z]+", "the file and its verdict: PASS, FAIL or INCONCLUSIVE (too few pictures)"),
    (r"[\d.]+ MB \([\d.]+x smaller\)", "its size, against the network's"),
    (r"[\d.]+ ms", "CPU time for one picture, on one thread"),
    (r"recall [\d.]+ -&gt; [\d.]+", "recall of the network, then of the file: melanomas found"),
    (r"\d+ malignant pictures? lost", "flips: the network flags them, the file does not"),
    (r"[\d.]+ % equal decisions", "pictures that both decide alike"),
    (r"a recall drop above [\d.]+ points", "what so many pictures exclude, with 95 % confidence"),
)
"""Where a number stands in the bench, and what it says; each is found once, behind int8."""
PAGE = """<!doctype html><meta charset="utf-8"><style>
body { margin: 20px 24px; background: #fff; color: #1b1f24; font: 15px/1.5 sans-serif; }
pre { margin: 0 0 14px; padding: 14px 16px; background: #f4f6f8; font: 15px/1.75 monospace; }
mark { background: #ffe9a8; } b { display: inline-block; width: 20px; height: 20px; margin: 0 4px;
border-radius: 50%; background: #0b5cad; color: #fff; font: bold 12px/20px sans-serif;
text-align: center; } ol { margin: 0; padding: 0; list-style: none; columns: 1; }
</style>"""


def main() -> None:
    """Take the pictures and write them small."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--web", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    record = RECORD.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "bench.html"
        page.write_text(explain(record), encoding="utf-8")
        explained = photograph(page, width=820, height=585)
    report = photograph(options.report.resolve(), width=1120, height=1000)
    with Image.open(options.web / "390-light.png") as phone:
        narrow = phone.convert("RGB").crop((0, 0, phone.width, min(phone.height, 1000)))
    for name, picture in (
        ("screenshot-bench", explained),
        ("screenshot-report", report),
        ("screenshot-web", narrow),
    ):
        data = small_png(picture)
        write_atomically(options.out / f"{name}.png", data)
        print(f"{options.out / name}.png: {picture.width}x{picture.height}, {len(data):,} bytes")


def explain(record: str) -> str:
    """A page of the recorded bench with a number at what each note is about.

    Raises:
        EdgeMelanomaError: the record has another bench than the notes.
    """
    bench = html.escape(record.partition("$ edge-melanoma bench\n")[2].rstrip(), quote=False)
    before, sign, after = bench.partition("\nint8 ")
    after = sign + after
    for number, (pattern, _) in enumerate(NOTES, start=1):
        after, found = re.subn(f"({pattern})", rf"<mark>\1</mark><b>{number}</b>", after, count=1)
        if not found:
            raise EdgeMelanomaError(
                f"{RECORD} has no '{pattern}': change the notes of {Path(__file__).name} to it."
            )
    notes = "".join(f"<li><b>{number}</b> {note}" for number, (_, note) in enumerate(NOTES, 1))
    return f"{PAGE}<pre>$ edge-melanoma bench\n{before}{after}</pre><ol>{notes}</ol>"


def photograph(page: Path, *, width: int, height: int) -> Image.Image:
    """A page as Chromium shows it in a window, without blank rows below it.

    Raises:
        EdgeMelanomaError: there is no Chromium, or it shows nothing.
    """
    chromium = shutil.which("chromium")
    if chromium is None:
        raise EdgeMelanomaError("Screenshots need Chromium; on Debian: apt-get install chromium.")
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "page.png"
        size = (f"--window-size={width},{height}", f"--screenshot={target}")
        command = [chromium, *ARGUMENTS, f"--user-data-dir={folder}/profile", *size, page.as_uri()]
        subprocess.run(command, capture_output=True, check=False, timeout=300)
        if not target.is_file():
            raise EdgeMelanomaError(f"Chromium shows nothing of {page}.")
        with Image.open(target) as shot:
            return shot.convert("RGB")


def small_png(picture: Image.Image) -> bytes:
    """With a palette, so that README loads fast.

    Raises:
        EdgeMelanomaError: it is larger than 150 kB all the same.
    """
    stream = io.BytesIO()
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(stream, "PNG", optimize=True)
    if stream.tell() > LARGEST_BYTES:
        raise EdgeMelanomaError(f"A screenshot has {stream.tell():,} bytes; show less of the page.")
    return stream.getvalue()


if __name__ == "__main__":
    main()
