"""tfjs-tflite, LiteRT.js' dormant predecessor, in Chromium: `make clients-tfjs`."""

import base64
import json
import shutil
import sys
import tempfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from client_bundle import BUILD, ClientBundle, Pixels, Row, compare, resized_pictures, run_and_write
from environments import refuse_missing, run_command

from edge_melanoma.converters.phone.web_page import install_locked
from edge_melanoma.machine.schemas import read_json

HERE = Path(__file__).parent / "tfjs"
PROGRAMS = {"chromium": "chromium", "node": "nodejs", "npm": "npm"}
SCRIPTS = (
    "tfjs-core/dist/tf-core.min.js",
    "tfjs-backend-cpu/dist/tf-backend-cpu.min.js",
    "tfjs-tflite/dist/tf-tflite.min.js",
)
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run")
PICTURES = 60


class QuietHandler(SimpleHTTPRequestHandler):
    """Files, and no line a request."""

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def make_rows(bundle: ClientBundle) -> list[Row]:
    """The uint8 model: int8 input is refused by it."""
    refuse_missing("tfjs-tflite", PROGRAMS)
    modules = _install(BUILD / "tfjs")
    resized = resized_pictures(PICTURES)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "page"
        _write_page(folder, modules, bundle.path("uint8"))
        told = _run(folder, modules.parent, resized)
    version = read_json(modules / "@tensorflow/tfjs-tflite/package.json")["version"]
    return [
        compare(
            "tfjs-tflite in Chromium",
            version=f"@tensorflow/tfjs-tflite {version}, Chromium {told['version']}",
            dtype="uint8",
            integers=[round(output) for output in told["outputs"]],
            expected=bundle.integers("uint8", resized),
            threshold=bundle.threshold("uint8"),
            note="phantoms",
        )
    ]


def _install(folder: Path) -> Path:
    """The node_modules that package-lock.json pins."""
    modules = install_locked(HERE, folder)
    shutil.copyfile(HERE / "tfjs_run.mjs", folder / "tfjs_run.mjs")
    return modules


def _write_page(folder: Path, modules: Path, model: Path) -> None:
    packages = modules / "@tensorflow"
    shutil.copytree(packages / "tfjs-tflite/wasm", folder / "wasm")
    for script in SCRIPTS:
        shutil.copyfile(packages / script, folder / Path(script).name)
    shutil.copyfile(model, folder / "model.tflite")
    tags = "".join(f'<script src="{Path(script).name}"></script>' for script in SCRIPTS)
    (folder / "index.html").write_text(f"<!doctype html><title>tfjs</title><body>{tags}</body>")


def _run(folder: Path, driver: Path, resized: list[Pixels]) -> dict[str, Any]:
    handler = partial(QuietHandler, directory=str(folder))
    plan, result = folder.parent / "plan.json", folder.parent / "result.json"
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        told = {
            "address": f"http://127.0.0.1:{server.server_port}/",
            "chromium": shutil.which("chromium"),
            "arguments": ARGUMENTS,
            "pictures": [base64.b64encode(picture.tobytes()).decode() for picture in resized],
        }
        plan.write_text(json.dumps(told))
        run_command(["node", "tfjs_run.mjs", str(plan), str(result)], cwd=driver)
        server.shutdown()
    return read_json(result)


if __name__ == "__main__":
    sys.exit(run_and_write("tfjs", make_rows))
