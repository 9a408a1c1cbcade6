"""edge-melanoma web: a static page that scores photos in the browser."""

from pathlib import Path
from typing import Annotated

from typer import Option

from edge_melanoma.commands.options import Force, RunArgument
from edge_melanoma.machine.command_line import ADVANCED
from edge_melanoma.machine.terminal import next_lines, print_lines, results_console


def command(
    run: RunArgument = None,
    out: Annotated[Path, Option(metavar="DIR", help="Where the page is written.")] = Path("web"),
    serve: Annotated[
        bool, Option("--serve", help="Serve it on this machine until interrupted.")
    ] = False,
    port: Annotated[
        int, Option(metavar="N", help="The port of --serve; 0 takes a free one.")
    ] = 8000,
    with_map: Annotated[
        bool,
        Option(
            "--with-map",
            rich_help_panel=ADVANCED,
            help="Show where the network looked: by the float16 model, which is nearly twice as "
            "large.",
        ),
    ] = False,
    litert: Annotated[
        Path | None,
        Option(
            metavar="DIR",
            rich_help_panel=ADVANCED,
            show_default="npm fetches the pinned version",
            help="A node_modules folder with LiteRT.js.",
        ),
    ] = None,
    force: Force = False,
) -> None:
    """Write a page that takes a photo and scores it in the browser; nothing is uploaded.

    Examples:
        edge-melanoma web bundled --out page --serve
        edge-melanoma web runs/partial-1 --out page --with-map
    """
    from edge_melanoma.converters.phone.page_server import HOST, make_server
    from edge_melanoma.converters.phone.web_page import page_of_run

    files = page_of_run(run, out, with_map=with_map, litert=litert, force=force)
    size = sum(map(len, files.values()))
    named = () if run is None else (run,)
    again = ("web", *named, "--out", out, "--serve", "--force")
    print_lines(
        results_console(width=160),
        f"{len(files)} files, {size:,} bytes. Serve the folder by https, or here: browsers open",
        "no model from a file.",
        *next_lines(out, command=again),
    )
    if serve:
        server = make_server(out, port=port)
        print(f"http://{HOST}:{server.effective_port}/ until Ctrl-C", flush=True)
        server.run()
