"""Fixtures: one real PostgreSQL and one real Valkey for the whole session, and a fresh part of each for every test."""

import asyncio
import itertools
import shutil
import tempfile
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from grandstand.embedded.data_folder import open_data_folder
from grandstand.embedded.engines import Engines
from grandstand.embedded.postgres import database_url as url_of_database
from grandstand.settings import Settings, load_settings
from grandstand.storage.migrate import migrate
from tests.support.leaks import check_files

SCHEMA = "grandstand"
TEMPLATE = "migrated"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class RunningEngines:
    """Where the session's engines are reached."""

    folder: Path
    socket_folder: Path
    maintenance_url: str
    valkey_url: str

    def database_url(self, name: str) -> str:
        return url_of_database(self.socket_folder, name)

    def create_database(self, template: str = "template1") -> str:
        """Make a database and return its name."""
        name = f"test_{next(_numbers)}_{uuid.uuid4().hex[:8]}"
        with psycopg.connect(self.maintenance_url, autocommit=True) as connection:
            statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
            connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
        return name

    def drop_database(self, name: str) -> None:
        with psycopg.connect(self.maintenance_url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def engines() -> Iterator[RunningEngines]:
    """The engines, started once in a temporary data folder and ended after the last test."""
    parent = Path(tempfile.mkdtemp(prefix="grandstand-tests-"))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="engines", daemon=True)
    thread.start()
    try:
        with open_data_folder(parent / "data") as folder:
            both = Engines(folder)
            asyncio.run_coroutine_threadsafe(both.start(), loop).result(60)
            assert both.postgres is not None
            assert both.valkey is not None
            try:
                yield RunningEngines(
                    folder=folder.path,
                    socket_folder=folder.socket_folder(),
                    maintenance_url=both.postgres.url,
                    valkey_url=both.valkey.url,
                )
            finally:
                asyncio.run_coroutine_threadsafe(both.stop(), loop).result(60)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        try:
            check_files((parent / "data" / "logs").glob("*"))
        finally:
            shutil.rmtree(parent, ignore_errors=True)


@pytest.fixture(scope="session")
def template_database(engines: RunningEngines) -> str:
    """A database with every migration run; each test gets a copy of it."""
    with psycopg.connect(engines.maintenance_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
    migrate(engines.database_url(TEMPLATE), SCHEMA)
    return TEMPLATE


@pytest.fixture
def database_url(engines: RunningEngines, template_database: str) -> Iterator[str]:
    """URL of a migrated database (schema `grandstand`) of this test alone."""
    name = engines.create_database(template_database)
    yield engines.database_url(name)
    engines.drop_database(name)


@pytest.fixture
def empty_database_url(engines: RunningEngines) -> Iterator[str]:
    """URL of a database without any table, of this test alone."""
    name = engines.create_database()
    yield engines.database_url(name)
    engines.drop_database(name)


@pytest.fixture
def valkey_url(engines: RunningEngines) -> str:
    """URL of the session's Valkey; keep to `valkey_prefix` in it."""
    return engines.valkey_url


@pytest.fixture
def valkey_prefix() -> str:
    """A key prefix of this test alone."""
    return f"t{next(_numbers)}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def settings(database_url: str, valkey_url: str, valkey_prefix: str, tmp_path: Path) -> Settings:
    """Settings of a small deployment on this test's database and key prefix."""
    return load_settings(
        database_url=database_url,
        database_schema=SCHEMA,
        database_pool_max=5,
        valkey_url=valkey_url,
        valkey_prefix=valkey_prefix,
        data_dir=tmp_path / "data",
        port=0,
    )
