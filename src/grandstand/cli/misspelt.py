"""Says at a start which variables no setting reads: a misspelt one silently does not hold."""

import os


def warn_of_unknown_settings() -> None:
    """Log each variable that begins with `GRANDSTAND_` and is none of ours, with the name that may be meant."""
    import structlog

    from grandstand.diagnosis.environment import look_at_names

    log = structlog.get_logger(__name__)
    for advice in look_at_names(os.environ):
        if advice.status == "warning":
            log.warning("unknown_setting", finding=advice.finding, do=advice.do)
