"""What PostgreSQL is told before our statements: for a session, or, where none is kept, for each transaction."""


def session_settings(schema: str, *, statement_timeout_seconds: float, only_reads: bool) -> dict[str, str]:
    """Return what PostgreSQL must be told for our statements to mean what they say. No value is anybody's input."""
    settings = {
        "search_path": schema,
        "jit": "off",
        # What disks have cost since they have no arms; the default makes the planner sort what an index has in order.
        "random_page_cost": "1.1",
        "TimeZone": "UTC",
        # A process that stands still in the middle of a transaction gives its locks back, and the others go on.
        "idle_in_transaction_session_timeout": str(int(statement_timeout_seconds * 1000)),
    }
    if only_reads:
        settings["default_transaction_read_only"] = "on"
        settings["statement_timeout"] = str(int(statement_timeout_seconds * 1000))
    return settings


def local_settings(settings: dict[str, str]) -> str:
    """Return the statements that make session settings those of a transaction alone; they follow its `BEGIN`."""
    names = {"default_transaction_read_only": "transaction_read_only"}
    return ";".join(f"SET LOCAL {names.get(name, name)} TO '{value}'" for name, value in settings.items())
