"""Rules about webhooks: their URLs, channels and secrets."""

from collections.abc import Iterator

from channeld.config.model import Config, Webhook
from channeld.config.rules.backends import weakness
from channeld.config.rules.evidence import Findings, entries, finding, host_of, texts
from channeld.config.scalars import is_loopback
from channeld.config.source import Sources
from channeld.pointer import at
from channeld.suggest import did_you_mean


def _webhooks(config: Config, sources: Sources, key: str) -> Iterator[tuple[Webhook, str]]:
    """Each valid webhook with the pointer of one of its keys, or of the list if that is ambiguous."""
    value = sources.written("/webhooks")
    apart = isinstance(value, list) and len(value) == len(config.webhooks)
    for index, webhook in enumerate(config.webhooks):
        yield webhook, at("/webhooks", index, key) if apart else "/webhooks"


def webhook_not_https(config: Config, sources: Sources) -> Findings:
    """CH429: events sent to another machine without https."""
    for webhook, pointer in _webhooks(config, sources, "url"):
        host = host_of(webhook.url)
        if host and (webhook.url.lower().startswith("https://") or is_loopback(host)):
            continue
        message = "a webhook is sent without TLS" if host else "the URL has no host"
        yield finding("CH429", message, sources, pointer, "write `https://`")


def webhook_of_no_channel(config: Config, sources: Sources) -> Findings:
    """CH430: a webhook for a channel that does not exist."""
    known = set(entries(sources, "/channels")) | set(config.channels)
    value = sources.written("/webhooks")
    for index in range(len(value) if isinstance(value, list) else 0):
        for name, pointer in texts(sources, at("/webhooks", index, "channels")):
            if name not in known:
                message = f"there is no channel `{name}`"
                there = ", ".join(f"`{one}`" for one in sorted(known))
                help = did_you_mean(name, sorted(known), f"the channels are {there}")
                yield finding("CH430", message, sources, pointer, help)


def webhook_secret_weak(config: Config, sources: Sources) -> Findings:
    """CH431: a secret short enough to guess, or not base64 despite its prefix."""
    for webhook, pointer in _webhooks(config, sources, "secret"):
        problem = weakness(webhook.secret.text)
        if problem:
            message = f"the webhook's secret {problem}"
            help = "generate one with `openssl rand -hex 32`"
            yield finding("CH431", message, sources, pointer, help)
