"""The page that scores photos in a browser: what is written, refused and served."""

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from edge_melanoma.converters.phone import web_page
from edge_melanoma.converters.phone.bundle import SOURCES
from edge_melanoma.converters.phone.page_server import HEADERS, POLICY, make_server
from edge_melanoma.converters.phone.web_page import (
    CORE,
    UTILS,
    WASM_FILES,
    WEB_SOURCES,
    pinned_versions,
    read_litert,
)
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.runs.models import TrainedModel

Run = Callable[..., Any]


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files where LiteRT.js has them, and their hashes in the table."""
    folder = tmp_path / "node_modules"
    for package, version in pinned_versions().items():
        (folder / package / "dist").mkdir(parents=True)
        (folder / package / "package.json").write_text(json.dumps({"version": version}))
        (folder / package / "dist/index.js").write_text("export {};")
    (folder / CORE / "dist/index.js").write_text(f'import {{ x }} from "{UTILS}";')
    (folder / CORE / "wasm").mkdir()
    for name in WASM_FILES:
        (folder / CORE / "wasm" / name).write_bytes(b"wasm")
    core = (folder / CORE / "dist/index.js").read_bytes()
    hashes = {name: hashlib.sha256(b"wasm").hexdigest() for name in web_page.LITERT_SHA256}
    hashes["core.js"] = hashlib.sha256(core).hexdigest()
    hashes["wasm-utils.js"] = hashlib.sha256(b"export {};").hexdigest()
    monkeypatch.setattr(web_page, "LITERT_SHA256", hashes)
    return folder


def test_the_page_holds_the_model_and_lists_what_it_keeps(
    modules: Path, tmp_path: Path, edge_melanoma: Run, exported_run: TrainedModel
) -> None:
    out, run = tmp_path / "page", exported_run.folder
    done = edge_melanoma("web", run, "--out", out, "--litert", modules)
    assert done.exit_code == 0, done.stderr
    (entry,) = (
        model
        for model in json.loads((out / "model/model_info.json").read_text())["models"]
        if model["file"] == json.loads((out / "site.json").read_text())["model"]
    )
    model = (out / "model" / entry["file"]).read_bytes()
    assert entry["input"]["dtype"] == "uint8"
    assert hashlib.sha256(model).hexdigest() == entry["sha256"]
    assert (out / "litert/core.js").read_text() == 'import { x } from "./wasm-utils.js";'
    listed = (out / "files.js").read_text()
    assert f'"model/{entry["file"]}"' in listed
    assert "litert/wasm/" not in listed
    assert not (out / "package.json").exists()
    again = edge_melanoma("web", run, "--out", out, "--litert", modules)
    assert again.exit_code == 2
    assert "replace the files of the page with --force" in again.stderr


def test_another_version_of_litert_is_refused(modules: Path) -> None:
    (modules / CORE / "package.json").write_text('{"version": "1.0.0"}')
    with pytest.raises(EdgeMelanomaError, match=r"holds @litertjs/core 1\.0\.0; expected 2\."):
        read_litert(modules)


def test_without_npm_one_sentence_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(EdgeMelanomaError, match=r"apt-get install npm.*--litert"):
        read_litert()


def test_the_page_and_its_server_allow_no_other_place() -> None:
    page = (WEB_SOURCES / "index.html").read_text(encoding="utf-8")
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert f"{policy}; frame-ancestors 'none'" == POLICY
    assert "connect-src 'self'" in policy
    sources = [path for path in WEB_SOURCES.iterdir() if path.suffix in {".js", ".html", ".css"}]
    assert not [path.name for path in sources if "https://" in path.read_text(encoding="utf-8")]
    assert not list(SOURCES.rglob("*.wasm"))


def test_a_changed_file_of_litert_is_refused_at_every_use(modules: Path) -> None:
    read_litert(modules)
    for path in (path for path in modules.rglob("*.*") if path.name != "package.json"):
        original = path.read_bytes()
        path.write_bytes(original + b" ")
        with pytest.raises(EdgeMelanomaError, match=r"its sha256 differs\); install it again"):
            read_litert(modules)
        path.write_bytes(original)


class Served:
    """A page, and what is beside it."""

    def __init__(self, folder: Path) -> None:
        page = folder / "page"
        (page / "model").mkdir(parents=True)
        (folder / "secret.txt").write_text("no")
        (page / "index.html").write_text("<p>")
        (page / "a.wasm").write_bytes(b"wasm")
        (page / ".hidden").write_text("no")
        (page / "model" / ".hidden.js").write_text("no")
        (page / "link.txt").symlink_to(folder / "secret.txt")
        (page / "up").symlink_to(folder, target_is_directory=True)
        self.page, self.server = page, make_server(page, port=0)
        self.port = self.server.effective_port
        threading.Thread(target=self.server.run, daemon=True).start()

    def ask(self, path: str, *, host: str | None = None, method: str = "GET") -> HTTPResponse:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, headers={"Host": host or f"127.0.0.1:{self.port}"})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(tmp_path_factory.mktemp("served"))
    yield served
    served.server.close()


def test_the_server_tells_types_and_policies_and_no_version(served: Served) -> None:
    answer = served.ask("/a.wasm")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/wasm"
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert answer.headers["Server"] is None
    assert served.ask("/").status == 200


@pytest.mark.parametrize(
    "path",
    [
        *("/../secret.txt", "/%2e%2e/secret.txt", "//etc/passwd", "/.hidden", "/model/.hidden.js"),
        *("/link.txt", "/up/secret.txt", "/model/", "/model", "/none", "/a.wasm/", "/a%00.wasm"),
        "/" + "x" * 5000,
    ],
)
def test_nothing_else_is_there(served: Served, path: str) -> None:
    assert served.ask(path).status == 404


def test_another_name_of_this_machine_is_refused(served: Served) -> None:
    for host in ("evil.example", f"localhost:{served.port}", "127.0.0.1", f"127.0.0.1:{1}"):
        assert served.ask("/", host=host).status == 421
    assert served.ask("/", method="POST").status == 405


def test_a_port_that_is_taken_is_told(served: Served) -> None:
    with pytest.raises(EdgeMelanomaError, match=rf"--port {served.port} cannot be used"):
        make_server(served.page, port=served.port)


@pytest.mark.parametrize("port", [-1, 70_000])
def test_a_port_that_is_none_is_refused(tmp_path: Path, port: int) -> None:
    with pytest.raises(EdgeMelanomaError, match=f"--port {port} cannot be used"):
        make_server(tmp_path, port=port)
