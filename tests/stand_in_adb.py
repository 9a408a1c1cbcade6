"""A program called adb that answers as a phone would, and notes what it was asked."""

import sys
from pathlib import Path

SCRIPT = """\
#!{python}
import json, pathlib, sys
folder, words = pathlib.Path({folder!r}), sys.argv[1:]
with open(folder / "asked.jsonl", "a", encoding="utf-8") as stream:
    stream.write(json.dumps(words) + "\\n")
answers = json.loads((folder / "answers.json").read_text(encoding="utf-8"))
line = " ".join(words)
for start, (code, text) in answers.items():
    if start in line:
        sys.stdout.buffer.write(text.encode())
        sys.exit(code)
"""


def write_adb(folder: Path) -> Path:
    """The program, in a folder of its own for PATH; answers are read from `answers.json` there."""
    folder.mkdir()
    adb = folder / "adb"
    adb.write_text(SCRIPT.format(python=sys.executable, folder=str(folder)), encoding="utf-8")
    adb.chmod(0o755)
    return adb
