"""Shows the document as one page of plain HTML: nothing is loaded from anywhere, no script runs."""

import json
from html import escape
from typing import Any

from grandstand.api.problems import CODES, REJECTION_CODES

Json = dict[str, Any]

_STYLE = """
:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
code,pre{font:14px/1.4 ui-monospace,monospace}pre{background:#8881;padding:.6rem;overflow:auto;border-radius:.4rem}
article{border-top:1px solid #8884;padding:1rem 0}h3{margin:.2rem 0}.method{text-transform:uppercase;font-weight:700}
table{border-collapse:collapse;width:100%}td,th{border-top:1px solid #8884;padding:.3rem;text-align:left}
summary{cursor:pointer}nav li{list-style:none}
"""


def render_page(document: Json) -> str:
    """Return the page of a document."""
    info = document["info"]
    operations = [
        (path, method, operation) for path, item in document["paths"].items() for method, operation in item.items()
    ]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])} API</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<h1>{escape(info['title'])} API <small>{escape(info['version'])}</small></h1>"
        f"<p>{escape(info['summary'])} The document behind this page: "
        '<a href="/schema/openapi.json">openapi.json</a> (OpenAPI 3.1).</p>'
        f"<nav><ul>{''.join(_link(*each) for each in operations)}</ul></nav>"
        f"{''.join(_operation(*each) for each in operations)}"
        f"<h2>Problems</h2><table>{''.join(_code_row(code, str(each[0]), each[1]) for code, each in CODES.items())}"
        "</table><h2>Rejected events</h2><table>"
        f"{''.join(_code_row(code, '', text) for code, text in REJECTION_CODES.items())}"
        f"</table><h2>Schemas</h2>{''.join(_schema(*each) for each in document['components']['schemas'].items())}"
        "</body></html>"
    )


def _link(path: str, method: str, operation: Json) -> str:
    name = escape(operation["operationId"])
    return (
        f'<li><a href="#{name}"><code><span class="method">{method}</span> {escape(path)}</code></a> '
        f"{escape(operation['summary'])}</li>"
    )


def _operation(path: str, method: str, operation: Json) -> str:
    who = ", ".join(next(iter(scheme), "anyone") for scheme in operation["security"])
    parts = [
        f'<article id="{escape(operation["operationId"])}"><h3>{escape(operation["summary"])}</h3>'
        f'<p><code><span class="method">{method}</span> {escape(path)}</code></p>'
        f"<p>{escape(operation.get('description', ''))}</p><p>For: {escape(who)}</p>"
    ]
    if "parameters" in operation:
        rows = "".join(
            f"<tr><td><code>{escape(each['name'])}</code></td><td>{each['in']}</td>"
            f"<td>{escape(each['description'])}</td><td><code>{escape(json.dumps(each['schema']))}</code></td></tr>"
            for each in operation["parameters"]
        )
        parts.append(f"<table>{rows}</table>")
    if "requestBody" in operation:
        parts.append(_contents("Request", operation["requestBody"]["content"]))
    for status, response in operation["responses"].items():
        parts.append(_contents(f"{status}: {response['description']}", response.get("content", {})))
    return "".join(parts) + "</article>"


def _contents(title: str, content: Json) -> str:
    shown = "".join(
        f"<p><code>{escape(media_type)}</code> {escape(name)}</p><pre>{_example(example['value'])}</pre>"
        for media_type, part in content.items()
        for name, example in part["examples"].items()
    )
    return f"<details><summary>{escape(title)}</summary>{shown}</details>"


def _example(value: Any) -> str:
    return escape(value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False))


def _code_row(code: str, status: str, meaning: str) -> str:
    name = escape(code)
    return f'<tr id="{name}"><td><code>{name}</code></td><td>{status}</td><td>{escape(meaning)}</td></tr>'


def _schema(name: str, schema: Json) -> str:
    return f"<details><summary>{escape(name)}</summary><pre>{_example(schema)}</pre></details>"
