"""CH710: what the language has and this server does not have yet."""

from collections.abc import Iterator

from channeld.config.model import Config
from channeld.config.rules.evidence import finding
from channeld.config.source import Sources
from channeld.diagnostics.diagnostic import Diagnostic

__all__ = ["not_available"]


def not_available(config: Config, sources: Sources) -> Iterator[Diagnostic]:
    """CH710: webhooks."""
    help = "remove it for now"
    if config.webhooks:
        message = "webhooks are not available yet"
        yield finding("CH710", message, sources, "/webhooks", help, key=True)
