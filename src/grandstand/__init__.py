"""Grandstand: a self-hosted game backend. Gameplay events in, competition out."""

from importlib.metadata import version

__version__ = version("grandstand")
