"""What a person reads when everything runs: the address, the keys, and commands to paste."""

import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from grandstand.settings import Settings

KINDS = ("admin", "server", "client")


def announcement(
    settings: Settings, url: str, version: str, data_dir: Path | None, created_keys: Mapping[str, str]
) -> str:
    """Return the text.

    Args:
        settings: keys that they set are not repeated.
        url: where the server is reached from this machine.
        version: of Grandstand.
        data_dir: the data folder; None when both engines are elsewhere.
        created_keys: kind → key, of those made at this start; the only moment when they are known.

    """
    shown = {kind: key for kind, key in created_keys.items() if getattr(settings, f"{kind}_key", None) is None}
    lines = ["", f"Grandstand {version} is ready: {url}", ""]
    if data_dir is not None:
        lines.append(f"  data        {data_dir}")
    lines += [f"  {kind + ' key':<11} {_key(settings, shown, kind)}" for kind in KINDS]
    lines += ["", _explanation(shown, data_dir), "", "Send a score, then read the ranks:", ""]
    bearer = shown.get("server", "$GRANDSTAND_SERVER_KEY")
    lines += [
        f"  curl -X POST {url}/api/events \\",
        f'    -H "Authorization: Bearer {bearer}" -H "Content-Type: application/json" \\',
        """    -d '{"event_type": "game_ended", "user_id": "ada", "payload": {"score": 1200}}'""",
        "",
        f"  curl {url}/api/leaderboards/global",
        "",
        f"See them at {url}/boards/global. For the console at {url}/console, make an operator first:",
        "",
        f"  {_command()} operators add NAME --role admin{_place(data_dir)}",
        "",
    ]
    return "\n".join(lines)


def _command() -> str:
    """Return how this program is called from here: `make up` runs it from a folder that is not on the PATH."""
    if shutil.which("grandstand") is not None:
        return "grandstand"
    called = Path(sys.argv[0]).absolute()
    if called.name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m grandstand"
    return shlex.quote(str(called.relative_to(Path.cwd()) if called.is_relative_to(Path.cwd()) else called))


def _place(data_dir: Path | None) -> str:
    return "" if data_dir is None else f" --data-dir {shlex.quote(str(data_dir))}"


def _key(settings: Settings, shown: Mapping[str, str], kind: str) -> str:
    if getattr(settings, f"{kind}_key") is not None:
        return f"gs_{kind}_… (as set by GRANDSTAND_{kind.upper()}_KEY)"
    return shown.get(kind, f"gs_{kind}_… (as shown at the first start)")


def _explanation(shown: Mapping[str, str], data_dir: Path | None) -> str:
    if shown:
        return "Keep the keys: they are shown this once, and only their hashes are stored."
    return (
        "Keys are shown once, when they are made. To use keys of your own, start with GRANDSTAND_ADMIN_KEY,\n"
        "GRANDSTAND_SERVER_KEY or GRANDSTAND_CLIENT_KEY set (gs_server_ and 16 characters or more, for example).\n"
        "Another one, where they are lost:\n\n"
        f"  {_command()} keys create server --name NAME{_place(data_dir)}"
    )
