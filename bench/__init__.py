"""Measures Grandstand's whole path and each of its stages beside the ceiling of each, in the same run."""
