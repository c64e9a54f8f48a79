"""The table of message options, in the order in which documentation lists them."""

from typing import Final

from channeld.plan.options.deprecated import DeprecatedOption
from channeld.plan.options.hook import HookOption
from channeld.plan.options.kept import (
    ClearsOption,
    ConflateOption,
    HistoryOption,
    KeyOption,
)
from channeld.plan.options.once import OnceOption
from channeld.plan.options.option import MessageOption
from channeld.plan.options.rate import RateOption
from channeld.plan.options.require import RequireOption

OPTIONS: Final[tuple[MessageOption, ...]] = (
    RequireOption(),
    DeprecatedOption(),
    RateOption(),
    OnceOption(),
    HistoryOption(),
    KeyOption(),
    ClearsOption(),
    ConflateOption(),
    HookOption(),
)
