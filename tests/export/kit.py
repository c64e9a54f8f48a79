"""Contracts out of files, and the parts of a contract by name."""

import os
from pathlib import Path

from channeld.diagnostics.diagnostic import Report
from channeld.export.contract import ChannelContract, Contract, ReceivedType, SentType
from channeld.export.describe import describe
from channeld.plan.load import check
from channeld.schema.schemas import Schemas

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "channels.yaml"
NASTY = Path(__file__).parent / "nasty.yaml"
NASTY_CHANNEL = "__proto__"


def contract_of_file(path: Path) -> Contract:
    environ = {**os.environ, "CHANNELD_JWT_SECRET": "s" * 40}
    checked = check(str(path), environ=environ, import_hooks=False)
    assert checked.config is not None
    assert [d.message for d in checked.report.errors] == []
    return describe(checked.config, Schemas(checked.config, checked.sources, Report()))


def channel_of(contract: Contract, name: str) -> ChannelContract:
    return next(channel for channel in contract.channels if channel.name == name)


def sent(contract: Contract, channel: str, type: str) -> SentType:
    return next(each for each in channel_of(contract, channel).sent if each.type == type)


def received(contract: Contract, channel: str, type: str) -> ReceivedType:
    return next(each for each in channel_of(contract, channel).received if each.type == type)
