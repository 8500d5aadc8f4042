"""`python -m tests.fuzz TARGET SECONDS`: fuzzes with atheris where it is installed, else with the loop of `loop.py`.

Inputs that reach new code are kept in the corpus; one that fails is left beside it as `crash-…`.
"""

import hashlib
import sys
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"


def main() -> None:
    name, seconds = sys.argv[1], int(sys.argv[2])
    folder = CORPUS / name
    folder.mkdir(parents=True, exist_ok=True)
    try:
        import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        run_loop(name, seconds, folder)
        return
    with atheris.instrument_imports(include=["grandstand"]):
        from tests.fuzz.targets import TARGETS
    options = [f"-max_total_time={seconds}", "-max_len=16384", "-rss_limit_mb=1024", f"-artifact_prefix={CORPUS}/"]
    atheris.Setup([sys.argv[0], *options, str(folder)], TARGETS[name])
    atheris.Fuzz()


def run_loop(name: str, seconds: int, folder: Path) -> None:
    from tests.fuzz.loop import Fuzzer
    from tests.fuzz.targets import TARGETS

    print("atheris is not installed: using the slower loop of tests/fuzz/loop.py", file=sys.stderr)
    fuzzer = Fuzzer(TARGETS[name], [path.read_bytes() for path in sorted(folder.iterdir())], seed=seconds)
    tries = fuzzer.run(seconds)
    for data in fuzzer.found:
        (folder / hashlib.sha1(data, usedforsecurity=False).hexdigest()).write_bytes(data)
    print(f"{name}: {tries} inputs, {len(fuzzer.found)} of them reached new code", file=sys.stderr)


if __name__ == "__main__":
    main()
