"""docs/python-api.md, made from the docstrings: python tests/documents/api_page.py writes it."""

import inspect
import re
from pathlib import Path

import edge_melanoma
from edge_melanoma import api
from edge_melanoma.api import results

EXAMPLE = re.compile(r"(?:^    .*\n\n?)+", re.MULTILINE)
PAGE = Path(__file__).parents[2] / "docs" / "python-api.md"
RESULTS = (
    results.Run,
    results.Model,
    results.Prediction,
    results.Evaluation,
    results.ParityReport,
    results.DataFindings,
)


def render() -> str:
    """The page."""
    about = EXAMPLE.sub(_code, inspect.cleandoc(api.__doc__ or ""))
    parts = ["# Python", about, "## Functions"]
    for name in sorted(set(edge_melanoma.__all__) - {"EdgeMelanomaError"}):
        function = getattr(api, name)
        parts += [f"### {name}", _signature(name, function), inspect.getdoc(function) or ""]
    parts.append("## Results")
    for kind in RESULTS:
        parts += [f"### {kind.__name__}", inspect.getdoc(kind) or ""]
        parts.append("\n".join(_members(kind)))
    return "\n\n".join(parts) + "\n"


def _code(example: re.Match[str]) -> str:
    return f"```python\n{inspect.cleandoc(example[0])}\n```\n\n"


def _signature(name: str, function: object) -> str:
    parameters = inspect.signature(function).parameters.values()  # type: ignore[arg-type]
    shown = ",\n".join(f"    {_parameter(one)}" for one in parameters)
    return f"```python\n{name}(\n{shown},\n)\n```"


def _parameter(one: inspect.Parameter) -> str:
    mark = "**" if one.kind is inspect.Parameter.VAR_KEYWORD else ""
    default = one.default
    if default is inspect.Parameter.empty:
        return f"{mark}{one.name}"
    shown = f'"{default}"' if isinstance(default, str) else repr(default)
    return f"{one.name}={'{}' if default is api.NO_SETS else shown}"


def _members(kind: type) -> list[str]:
    fields = getattr(kind, "__dataclass_fields__", {})
    lines = [f"- `{name}`" for name in fields]
    for name, member in vars(kind).items():
        if not name.startswith("_") and name not in fields:
            lines.append(f"- `{name}`: {(inspect.getdoc(member) or '').splitlines()[0]}")
    return lines


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
