"""The schemas of a configuration are looked at through its compilation."""

from tests.plan.conftest import compile_text

__all__ = ["compile_text"]
