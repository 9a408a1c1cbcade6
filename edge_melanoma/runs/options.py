"""The options that results were made with, as TOML in their folder, for --config to read again.

The file tells no place of this machine; where a word of it stood for one is noted apart.
"""

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from edge_melanoma.machine.command_line import CONFIG, config_text
from edge_melanoma.machine.environment import portable_word
from edge_melanoma.machine.files import write_atomically
from edge_melanoma.runs.own_files import remember_word


def keep_options(folder: Path, command: str, options: Mapping[str, Any]) -> None:
    """Write config.toml; nothing where no options are known."""
    if options:
        path = folder / CONFIG
        told = {key: _tell(path, value) for key, value in options.items()}
        write_atomically(path, config_text(command, told))


def _tell(path: Path, value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_tell(path, one) for one in value]
    if isinstance(value, Enum) or not isinstance(value, str | Path):
        return value
    told = portable_word(str(value))
    if told != str(value):
        remember_word(str(value), told=told, file=path)
    return told
