"""Where and with what a run was made: figures mean little without it."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

_PACKAGES = ("grandstand", "uvicorn", "uvloop", "httptools", "msgspec", "asyncpg", "valkey", "libvalkey", "litestar")
_ROOT = Path(__file__).resolve().parent.parent


def describe_machine() -> dict[str, Any]:
    """Return processor, cores, memory and system."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_mb": psutil.virtual_memory().total // 2**20,
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def describe_code() -> dict[str, Any]:
    """Return the commit, whether files differ from it, and the versions of what the speed depends on."""
    return {
        "commit": _git("rev-parse", "HEAD"),
        "has_changes": bool(_git("status", "--porcelain")),
        "versions": {package: version(package) for package in _PACKAGES},
    }


def load_average() -> float:
    """Return the mean number of running processes over the last minute."""
    return round(os.getloadavg()[0], 2)


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=_ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
