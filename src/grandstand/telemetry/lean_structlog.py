"""structlog, loaded without rich, with which it would format tracebacks that are plain here (`logs.py`).

Loading it takes 5 MB and 0.15 s in each process of a tree, where nothing else uses it. Commands that do still can.
"""

import sys

_is_loaded = "rich" in sys.modules
if not _is_loaded:
    # What cannot be imported is what structlog does without.
    sys.modules["rich"] = None  # type: ignore[assignment]
try:
    import structlog
finally:
    if not _is_loaded:
        del sys.modules["rich"]

__all__ = ["structlog"]
