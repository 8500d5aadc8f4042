"""The rows of the result: a module each, with `measure(suite)` that returns one row or several that belong together."""
