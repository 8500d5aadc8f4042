"""How commands print what a server answers."""

import json
from collections.abc import Sequence
from typing import Any

import typer


def show_json(content: Any) -> None:
    """Print JSON."""
    typer.echo(json.dumps(content, ensure_ascii=False, indent=2))


def show_object(content: dict[str, Any], *, as_json: bool) -> None:
    """Print one object: as JSON, or as YAML, which people read more easily."""
    if as_json:
        show_json(content)
        return
    import yaml

    typer.echo(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120), nl=False)


def show_table(columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
    """Print rows below their headings, as wide as they are: what is printed can be cut and searched."""
    cells = [[_text(row.get(name)) for name in columns] for row in rows]
    widths = [
        max(len(name), *(len(line[number]) for line in cells)) if cells else len(name)
        for number, name in enumerate(columns)
    ]
    for line in [list(columns), *cells]:
        typer.echo("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def _text(value: Any) -> str:
    text = "-" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    # A terminal obeys control characters, and ids and titles come from outside.
    return "".join(each if each.isprintable() else "\ufffd" for each in text)
