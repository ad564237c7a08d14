"""The ground under every room: version, errors, registry, files, worker pool. Imports no room."""

__version__ = "0.1.0"
