"""Test double of the YAML writer: JSON is YAML."""

from json import dumps as safe_dump

__all__ = ["safe_dump"]
