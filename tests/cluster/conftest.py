"""The engine's fixtures."""

from tests.engine.conftest import serve

__all__ = ["serve"]
