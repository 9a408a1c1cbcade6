"""What `web` does: write the page of a run, and serve it if asked to."""

from pathlib import Path

from edge_melanoma.commands.page_server import make_server
from edge_melanoma.converters.phone.bundle import bundle_files, choose_int8_export
from edge_melanoma.converters.phone.layout import refuse_full_folder
from edge_melanoma.converters.phone.litert_js import read_litert
from edge_melanoma.converters.phone.twins import find_or_convert_float16
from edge_melanoma.converters.phone.web_page import page_files, write_page
from edge_melanoma.data.crops import Crop
from edge_melanoma.machine.terminal import TerminalReporter
from edge_melanoma.runs.bundled import bundled_run, is_bundled
from edge_melanoma.runs.folders import refuse_unwritable
from edge_melanoma.runs.models import find_run


def write_and_tell(
    folder: Path | None, out: Path, *, with_map: bool, litert: Path | None, force: bool
) -> None:
    """Write the page, and say where it is."""
    reporter = TerminalReporter()
    refuse_full_folder(out, what="page", force=force)
    refuse_unwritable(out / "index.html")
    run = bundled_run() if is_bundled(folder) else find_run(folder)
    model = choose_int8_export(run, None)
    reporter.say("Getting LiteRT.js")
    modules = read_litert(litert)
    reporter.say(f"Writing the page of {run.folder}")
    float16 = find_or_convert_float16(run, with_map=True) if with_map else None
    bundle = bundle_files(run, model, float16=float16, crop=Crop.NONE)
    files = page_files(bundle, modules, with_map=with_map)
    write_page(files, out, force=force)
    print(
        f"{out}: {len(files)} files, {sum(map(len, files.values())):,} bytes. Serve the folder by"
    )
    print("https, or here with --serve: browsers open no model from a file.")


def serve_page(folder: Path, *, port: int) -> None:
    """Serve until interrupted.

    Raises:
        EdgeMelanomaError: the port cannot be had.
    """
    with make_server(folder, port=port) as server:
        print(f"http://{server.server_address[0]!s}:{server.server_port}/ until Ctrl-C", flush=True)
        server.serve_forever()
