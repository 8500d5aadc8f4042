"""A child ends without a word when the supervisor does, whatever it was about to hear from it."""

import select
import socket
import subprocess
import sys

import pytest

SECONDS = 20.0
WAITING = "from grandstand.cli.lifeline import wait_for_go; wait_for_go(); print('begun')"
RUNNING = """
import asyncio, uvloop
from grandstand.cli.lifeline import stop_at_end, wait_for_go

async def run():
    stop = asyncio.Event()
    stop_at_end(stop)
    print("begun", flush=True)
    await stop.wait()

wait_for_go()
uvloop.run(run())
"""


@pytest.mark.parametrize(("code", "begun"), [(WAITING, ""), (RUNNING, "begun\n")])
@pytest.mark.parametrize("has_heard", [True, False])
def test_the_end_of_the_supervisor_ends_it(code: str, begun: str, *, has_heard: bool) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        child = subprocess.Popen(
            [sys.executable, "-c", code], stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    with ours, child:
        try:
            assert child.stdout is not None
            # A supervisor that is killed before it reads what was said resets the connection.
            assert select.select([ours], [], [], SECONDS)[0]
            if has_heard:
                assert ours.recv(100) == b"loaded\n"
            if begun:
                ours.sendall(b"go\n")
                assert child.stdout.readline() == begun
            ours.close()
            assert child.communicate(timeout=SECONDS) == ("", "")
            assert child.returncode == 0
        finally:
            child.kill()
