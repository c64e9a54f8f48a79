"""The reference pages are what the generator makes of today's tables."""

import importlib
import re
import sys
from collections.abc import Iterator
from types import ModuleType
from xml.etree import ElementTree as ET

import pytest

from channeld.protocol.codes import REFUSALS, CloseCode, ErrorCode
from tests.docs.blocks import ROOT


@pytest.fixture(scope="module")
def generator() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        # Not `syspath_prepend`: it looks into a `pkg_resources` that another test may have brought.
        patch.setattr(sys, "path", [str(ROOT / "docs/reference"), *sys.path])
        yield importlib.import_module("generate")


def test_the_pages_are_up_to_date(generator: ModuleType) -> None:
    assert sorted(generator.outdated()) == [], "run: python docs/reference/generate.py"


def test_every_code_is_explained(generator: ModuleType) -> None:
    assert set(generator.wire.ERROR_CODES) == set(ErrorCode)
    assert set(generator.wire.CLOSE_CODES) == set(CloseCode)
    assert set(generator.wire.HTTP_STATUSES) == set(REFUSALS)


def test_the_twelve_mistakes_are_twelve(generator: ModuleType) -> None:
    text = generator.mistakes.mistakes_report(colour=False)
    codes = [
        line.partition("[")[2][:5]
        for line in text.splitlines()
        if line.startswith(("error[", "warning["))
    ]
    assert len(codes) == len(set(codes)) == 12
    assert text.endswith("10 errors, 2 warnings in channels.yaml\n")


def test_the_picture_is_an_svg_that_loads_nothing(generator: ModuleType) -> None:
    picture = generator.mistakes.twelve_picture()
    assert ET.fromstring(picture).tag == "{http://www.w3.org/2000/svg}svg"
    assert re.findall(r"(?:href|src)=|@import|url\((?!#)", picture) == []
    assert picture == generator.mistakes.twelve_picture()
