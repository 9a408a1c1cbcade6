"""The page that scores photos in a browser: what is written, refused and served."""

import hashlib
import json
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from edge_melanoma.converters.phone.bundle import SOURCES
from edge_melanoma.converters.phone.web_page import (
    CORE,
    POLICY,
    UTILS,
    WASM_FILES,
    WEB_SOURCES,
    make_server,
    pinned_versions,
    read_litert,
)
from edge_melanoma.errors import EdgeMelanomaError


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    """A folder with files where LiteRT.js has them."""
    folder = tmp_path / "node_modules"
    for package, version in pinned_versions().items():
        (folder / package / "dist").mkdir(parents=True)
        (folder / package / "package.json").write_text(json.dumps({"version": version}))
        (folder / package / "dist/index.js").write_text("export {};")
    (folder / CORE / "dist/index.js").write_text(f'import {{ x }} from "{UTILS}";')
    (folder / CORE / "wasm").mkdir()
    for name in WASM_FILES:
        (folder / CORE / "wasm" / name).write_bytes(b"wasm")
    return folder


def run_web(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge_melanoma", "web", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_the_page_holds_the_model_and_lists_what_it_keeps(modules: Path, tmp_path: Path) -> None:
    out = tmp_path / "page"
    done = run_web("bundled", "--out", out, "--litert", modules)
    assert done.returncode == 0, done.stderr
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
    again = run_web("bundled", "--out", out, "--litert", modules)
    assert again.returncode == 2
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


def test_the_server_tells_types_and_policy_and_nothing_above_its_folder(tmp_path: Path) -> None:
    (tmp_path / "page").mkdir()
    (tmp_path / "secret.txt").write_text("no")
    (tmp_path / "page/a.wasm").write_bytes(b"wasm")
    with make_server(tmp_path / "page", port=0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        with urllib.request.urlopen(f"{address}/a.wasm") as answer:
            assert answer.headers["Content-Type"] == "application/wasm"
            assert answer.headers["Content-Security-Policy"] == POLICY
        with pytest.raises(urllib.error.HTTPError, match="404") as caught:
            urllib.request.urlopen(f"{address}/../secret.txt")
        caught.value.close()
        with pytest.raises(EdgeMelanomaError, match=rf"--port {server.server_port} cannot be used"):
            make_server(tmp_path, port=server.server_port)
        server.shutdown()


@pytest.mark.parametrize("port", [-1, 70_000])
def test_a_port_that_is_none_is_refused(tmp_path: Path, port: int) -> None:
    with pytest.raises(EdgeMelanomaError, match=f"--port {port} cannot be used"):
        make_server(tmp_path, port=port)
