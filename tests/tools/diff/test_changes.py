from collections.abc import Callable
from pathlib import Path

import pytest
from tests.tools.diff.conftest import compared

from channeld.diagnostics.catalogue.diff import ENTRIES
from channeld.tools.diff.change import Change

Changes = Callable[..., list[Change]]
