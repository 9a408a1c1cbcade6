"""The one kind of error that the command line turns into a sentence and exit code 2."""


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
            f"install it with: pip install 'edge-melanoma[{extra}]'"
        )


class ChildDiedError(EdgeMelanomaError):
    """A process that ran a model ended without a result."""


def printable(name: str) -> str:
    """A file's name in a sentence: line breaks, control codes and stray bytes as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
