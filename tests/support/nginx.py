"""A real nginx with the configuration that is shipped: only address, port and folder are others."""

import asyncio
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from scripts.programs import program
from soak.ports import HeldPort

from tests.support.waiting import eventually_async

SHIPPED = Path(__file__).resolve().parents[2] / "deploy" / "nginx"
Upstreams = dict[str, Sequence[str]]
"""Addresses of the servers of a role."""

MAIN = """
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
worker_processes 1;
daemon off;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/conf.d/*.conf;
}}
"""


@asynccontextmanager
async def open_nginx(
    upstreams: str | Upstreams, origins: tuple[str, ...] = (), file: str = "grandstand-upstreams.conf"
) -> AsyncIterator[str]:
    """Run nginx in front of the server of a URL, or of several; yields its URL.

    `origins` are those that the configuration lists, `file` is which of the shipped files has the upstreams.
    """
    if isinstance(upstreams, str):
        upstreams = {role: [urlsplit(upstreams).netloc] for role in ("ingest", "api")}
    # Directly under the system's folder: workers of an nginx that root starts are nobody and have to reach it.
    folder = Path(tempfile.mkdtemp(prefix="grandstand-nginx-"))
    folder.chmod(0o755)
    found = program("nginx")
    port = HeldPort()
    process = None
    try:
        _configure(folder, upstreams, port.number, origins, file)
        process = subprocess.Popen(
            [found.command, "-p", str(folder), "-c", f"{folder}/nginx.conf", "-e", f"{folder}/error.log"],
            env=os.environ | found.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        # Written once it listens; that somebody does would be said of whoever has taken the port, too.
        await eventually_async(lambda: process.poll() is not None or (folder / "nginx.pid").exists(), 20)
        assert process.poll() is None, (folder / "error.log").read_text()
        yield f"http://127.0.0.1:{port.number}"
        log = (folder / "error.log").read_text()
        assert not [line for line in log.splitlines() if "[emerg]" in line or "[alert]" in line]
    finally:
        if process is not None:
            process.terminate()
            await asyncio.to_thread(process.wait, 20)
        port.close()
        shutil.rmtree(folder)


def _configure(folder: Path, upstreams: Upstreams, port: int, origins: tuple[str, ...], file: str) -> None:
    text = (SHIPPED / "grandstand.conf").read_text()
    for shipped, ours in (
        ("listen 80;", f"listen 127.0.0.1:{port};"),
        ("/var/cache/nginx/grandstand", f"{folder}/cache"),
        ('default "";\n    #', "\n".join(['default "";', *(f'"{each}" "{each}";' for each in origins), "#"])),
    ):
        assert text.count(shipped) == 1, f"{shipped!r} is not there once"
        text = text.replace(shipped, ours)
    roles = (SHIPPED / file).read_text()
    for role, addresses in upstreams.items():
        # Names are found anew by a newer nginx than the tests have.
        server = re.compile(rf"(upstream grandstand_{role} {{.*?)server \S+(?: resolve)?( [^;]*;)", re.DOTALL)
        roles, count = server.subn(lambda m, a=addresses: m[1] + "".join(f"server {each}{m[2]}" for each in a), roles)
        assert count == 1, f"{file} has no servers for {role}"
    (folder / "conf.d").mkdir(exist_ok=True)
    (folder / "conf.d" / file).write_text(roles)
    (folder / "conf.d" / "grandstand.conf").write_text(text)
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder))
