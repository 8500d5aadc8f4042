"""The corpus of the fuzzer replayed, and a short run that goes on from it. `make fuzz` runs for longer."""

import os
from pathlib import Path

import pytest

from tests.fuzz.loop import Fuzzer
from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
SECONDS = float(os.environ.get("FUZZ_SECONDS", "3"))


def inputs(name: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_holds(name: str) -> None:
    found = inputs(name)
    assert found, "the corpus is part of the test"
    for data in found:
        TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
def test_a_short_run_finds_nothing(name: str) -> None:
    fuzzer = Fuzzer(TARGETS[name], inputs(name)[:200], seed=1)
    assert fuzzer.run(SECONDS, tries_min=11) > 10


def test_the_loop_goes_where_its_seed_does_not() -> None:
    fuzzer = Fuzzer(TARGETS["events"], [b"{}"], seed=1)
    # Of its seed and this number follows what it finds, however fast the machine is.
    fuzzer.run(0, tries_min=2_000)
    assert len(fuzzer.found) > 5
    assert any(b"payload" in data for data in fuzzer.found)
