"""The one kind of error that the command line turns into a sentence and exit code 2."""

import json
import shlex
from importlib import metadata
from urllib.parse import unquote, urlsplit

NO_BREAK = "\N{NO-BREAK SPACE}"


class EdgeMelanomaError(Exception):
    """A mistake that the user can mend.

    The message is one whole sentence: it names the file or option, says what was expected and
    what to do. Everything else that is raised is a bug and keeps its traceback.
    """


class MissingExtraError(EdgeMelanomaError):
    """A package of an optional extra is needed and not installed."""

    @classmethod
    def for_package(cls, package: str, *, extra: str, purpose: str) -> "MissingExtraError":
        """Not by `__init__`: an error that crosses processes is rebuilt from its message alone."""
        return cls(
            f"{purpose} needs the package {package}, which is not installed; "
            f"install it with: {install_command(extra)}"
        )


class NoProbabilityError(EdgeMelanomaError):
    """A model gave for a picture what is no probability: NaN, or outside 0..1."""


class ChildDiedError(EdgeMelanomaError):
    """A process that ran a model ended without a result."""


class Interrupted(Exception):  # noqa: N818, an order and no error
    """A person's order to end, with the sentence about what was kept, where there is one."""


def install_command(extra: str) -> str:
    """How an extra is installed where this package came from: no registry has it by its name."""
    try:
        stated = metadata.distribution("edge-melanoma").read_text("direct_url.json")
        url = str(json.loads(stated or "{}").get("url", ""))
    except metadata.PackageNotFoundError:
        url = ""
    place = urlsplit(url)
    if place.scheme == "file":
        return f"pip install {shlex.quote(f'{unquote(place.path)}[{extra}]')}"
    if url:
        return f"pip install {shlex.quote(f'edge-melanoma[{extra}] @ {url}')}"
    return f"pip install '.[{extra}]' in the folder of edge-melanoma"


def printable(name: str) -> str:
    """A file's name in a line: breaks, control and direction codes and stray bytes as escapes."""
    if name.isprintable():
        return name
    return "".join(c if c.isprintable() or c == NO_BREAK else _escaped(c) for c in name)


def _escaped(sign: str) -> str:
    return sign.encode("unicode_escape").decode("ascii")
