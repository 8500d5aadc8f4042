"""Proof under faults: a seeded workload, an independent auditor and a fault injector against a real `grandstand up`."""
