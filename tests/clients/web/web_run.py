"""The page in a real browser: `make clients-web`.

Writes the page of the model in the package, opens it in Chromium, and compares its scores with
Python's. A JSON line says how they compare; the same line stands in build/clients/web.json. Exit
code 1: something is not as it must be; 2: it cannot be run here.
"""

import argparse
import json
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from chromium import drive, install_driver, refuse_missing_tools
from web_pictures import (
    golden_pictures,
    odd_pictures,
    write_mutant,
    write_phantoms,
    write_spoilt,
)

from edge_melanoma.converters.phone.page_server import make_server
from edge_melanoma.converters.phone.web_page import CORE, page_of_run, pinned_versions
from edge_melanoma.data.faults import UNLIKE
from edge_melanoma.data.images import read_image
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.drift import values_of
from edge_melanoma.machine.files import write_json
from edge_melanoma.machine.schemas import read_json
from edge_melanoma.machine.terminal import TerminalReporter
from edge_melanoma.runtime.interpreters import Answer, SessionSettings, TFLiteSession
from edge_melanoma.runtime.names import Runtime
from edge_melanoma.tflite.counts import LEAST_ADDED, count_pictures
from edge_melanoma.tflite.gate import read_rule

ROOT = Path(__file__).parents[3]
BUTTONS = ["Take a photo", "Choose a photo"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write, open, compare; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, default=ROOT / "android_assets")
    parser.add_argument("--build", type=Path, default=ROOT / "build/clients")
    parser.add_argument("--with-map", action="store_true", help="The page with the float16 model.")
    options = parser.parse_args(arguments)
    try:
        refuse_missing_tools()
        install_driver(options.build / "chromium-driver")
        with tempfile.TemporaryDirectory() as folder:
            client = WebClient(
                options.bundle.resolve(), options.build.resolve(), Path(folder), options.with_map
            )
            return client.run()
    except EdgeMelanomaError as error:
        print(error, file=sys.stderr)
        return 2


class WebClient:
    """The page, the pictures, and the browser between them."""

    def __init__(self, bundle: Path, build: Path, folder: Path, with_map: bool) -> None:
        self._bundle, self._build, self._with_map = bundle, build, with_map
        self._page, self._pictures = folder / "page", folder / "pictures"
        self._pictures.mkdir()

    def run(self) -> int:
        """Write and print the comparison; 1 where anything is not as it must be."""
        reporter = TerminalReporter()
        page_of_run(Path("bundled"), self._page, with_map=self._with_map, litert=None, force=False)
        mutant = write_mutant(self._page)
        pictures = [*write_phantoms(self._pictures), *golden_pictures(self._bundle)]
        spoilt = write_spoilt(self._pictures)
        odd = list(odd_pictures())
        resized = [one.write(self._pictures / f"{i}.raw") for i, one in enumerate(odd)]
        screenshots = self._build / "screenshots"
        screenshots.mkdir(parents=True, exist_ok=True)
        plan: dict[str, Any] = {
            "pictures": [str(path) for path in pictures],
            "spoilt": [str(path) for path in spoilt],
            "screenshots": str(screenshots),
            "hasMap": self._with_map,
        }
        reporter.say("Opening the page in Chromium")
        with self._serving() as address:
            plan |= {"address": address, "resized": resized, "resizeModule": "resize.js"}
            told = self._drive(plan)
            changed = {
                **plan,
                "pictures": [str(path) for path in pictures[:2]],
                "resizeModule": mutant,
            }
            mutated = self._drive({**changed, "resized": resized[:20]})
        hashes = [one.resized_sha256 for one in odd]
        complaints = [*_complaints(told, hashes=hashes, spoilt=list(spoilt.values()))]
        if mutated["resized"] == hashes[:20]:
            complaints.append("a resize that rounds down was not noticed")
        row = self._compare(told, pictures)
        if told["counts"] != self._expected_counts(pictures):
            complaints.append("its counts are not Python's")
        write_json(self._build / "web.json", [row])
        print(json.dumps(row))
        print("".join(f"{line}\n" for line in complaints), file=sys.stderr, end="")
        return 0 if row["equal"] == row["pictures"] and not complaints else 1

    def _drive(self, plan: Mapping[str, Any]) -> dict[str, Any]:
        return drive(self._build / "chromium-driver", plan)

    @contextmanager
    def _serving(self) -> Iterator[str]:
        server = make_server(self._page, port=0)
        threading.Thread(target=server.run, daemon=True).start()
        yield f"http://127.0.0.1:{server.effective_port}/"
        server.close()

    def _open(self) -> tuple[dict[str, Any], TFLiteSession, dict[str, Any] | None]:
        """The entry of the page's model, the model, and the block of its counts."""
        name = read_json(self._page / "site.json")["model"]
        info = read_json(self._page / "model/model_info.json")
        entry = next(model for model in info["models"] if model["file"] == name)
        settings = SessionSettings(
            data=(self._page / "model" / name).read_bytes(),
            name=name,
            runtime=Runtime.LITERT,
            gate=read_rule(entry.get("gate"), source=name),
        )
        return entry, TFLiteSession(settings), info.get("counts")

    def _expected_counts(self, pictures: Sequence[Path]) -> dict[str, Any] | None:
        """What the page may save: whole twenties of judged pictures, and what came with them."""
        _, session, block = self._open()
        if block is None:
            return None
        values = values_of([session.answer(read_image(path)) for path in pictures])
        judged = np.cumsum(["score" in one for one in values])
        whole = int(np.searchsorted(judged, judged[-1] // LEAST_ADDED * LEAST_ADDED)) + 1
        if judged[-1] < LEAST_ADDED:
            return None
        counts = count_pictures(values[:whole], block["edges"])
        return {"schema": 1, "reference": block["reference"], "pictures": whole, "counts": counts}

    def _compare(self, told: Mapping[str, Any], pictures: Sequence[Path]) -> dict[str, Any]:
        entry, session, _ = self._open()
        expected = [session.answer(read_image(path)) for path in pictures]
        pairs = list(zip(told["results"], expected, strict=True))
        steps = [_steps_between(found, answer) for found, answer in pairs]
        flips = sum(
            found["isMalignant"] != _decide(answer, entry["threshold"]["float"])
            for found, answer in pairs
        )
        return {
            "client": "LiteRT.js in Chromium, the page of edge-melanoma web",
            "version": f"{CORE} {pinned_versions()[CORE]}, Chromium {told['version']}",
            "input": entry["input"]["dtype"],
            "pictures": len(pictures),
            "equal": sum(step == 0 for step in steps),
            "largest_difference_steps": max(steps) if self._with_map else round(max(steps)),
            "decision_flips": flips,
            "note": "phantoms and golden pictures, 200 odd pictures resized alike; "
            "no request elsewhere, works offline",
        }


def _steps_between(found: Mapping[str, Any], answer: Answer) -> float:
    """In steps of 1/256; a whole range where the gate reads another place or other faults."""
    gate, placed = found["gate"], answer.placed
    if (gate is None) != (placed is None):
        return 256.0
    if placed is not None:
        reasons = [*([] if placed.in_domain else [UNLIKE]), *answer.faults]
        if (gate["distance"], gate["reasons"]) != (placed.distance, reasons):
            return 256.0
    if found["integer"] is not None:
        return float(abs(found["integer"] / 256 - answer.score) * 256)
    return 0.0 if found["p"] is None else float(abs(found["p"] - answer.score) * 256)


def _decide(answer: Answer, threshold: float) -> bool | None:
    is_judged = answer.placed is None or answer.placed.in_domain
    return answer.score >= threshold if is_judged else None


def _complaints(
    told: Mapping[str, Any], *, hashes: Sequence[str], spoilt: Sequence[str]
) -> Iterator[str]:
    """Whatever else is not as it must be."""
    address = told["requests"][0]
    elsewhere = [url for url in told["requests"] if not url.startswith((address, "blob:"))]
    elsewhere = [url for url in elsewhere if "example.invalid" not in url]
    if elsewhere:
        yield f"it asked for {elsewhere}"
    if told["requestsByPhotos"]:
        yield f"photos made it ask for {told['requestsByPhotos']}"
    if told["blocked"] == "sent" or any("example.invalid" in url for url in told["requests"]):
        yield "its policy let a request leave"
    if told["resized"] != list(hashes):
        yield "resize.js and Python differ"
    if told["complaints"] != list(spoilt):
        yield f"it said {told['complaints']} of files that are no picture"
    if told["keyboard"] != BUTTONS:
        yield f"Tab reached {told['keyboard']}"
    if told["offline"]["integer"] != told["results"][0]["integer"]:
        yield "it scored otherwise without a network"
    if told["keptUnasked"]:
        yield "it kept something that nobody asked for"
    if told["overflow"]:
        yield "it is wider than the screen"
    yield from told["problems"]


if __name__ == "__main__":
    sys.exit(main())
