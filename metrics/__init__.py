"""Metrics: pure functions of arrays; one module is one metric family and its docstring the manual page.

No files, no weights, no choice of device. `metrics.catalogue` names every metric of the tables.
"""
