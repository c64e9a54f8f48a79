import textwrap
from pathlib import Path

import pytest

from channeld.plan.hook_source import HookSource, find_module


def source(text: str, tmp_path: Path) -> HookSource:
    file = tmp_path / "chat.py"
    file.write_text(textwrap.dedent(text))
    found = HookSource.read(file)
    assert isinstance(found, HookSource)
    return found


def findings(text: str, tmp_path: Path, loop: str = "trio") -> list[tuple[str, int]]:
    module = source(text, tmp_path)
    function = module.function("hook")
    assert function is not None
    return [(found.code, found.line) for found in module.findings(function, loop)]


@pytest.mark.parametrize(
    "call",
    [
        "import time\ndef hook(ctx): time.sleep(1)",
        "from time import sleep\ndef hook(ctx): sleep(1)",
        "import time as t\nasync def hook(ctx): t.sleep(1)",
        "import requests\ndef hook(ctx): x = requests.get('u').json()",
        "from requests import get\ndef hook(ctx): get('u')",
        "import urllib.request\ndef hook(ctx): urllib.request.urlopen('u')",
        "from urllib.request import urlopen\ndef hook(ctx): urlopen('u')",
        "import urllib.request as r\ndef hook(ctx): r.urlopen('u')",
        "import subprocess\ndef hook(ctx): subprocess.run(['ls'])",
    ],
)
def test_a_blocking_call_is_found(call: str, tmp_path: Path) -> None:
    assert findings(call, tmp_path) == [("CH506", 2)]


@pytest.mark.parametrize(
    ("text", "loop", "held", "help"),
    [
        ("def hook(ctx): time.sleep(1)", "asyncio", "the whole server", "`thread: true`"),
        ("async def hook(ctx): time.sleep(1)", "trio", "the whole server", "trio.to_thread"),
        ("async def hook(ctx): time.sleep(1)", "asyncio", "all asyncio hooks", "asyncio.sleep"),
    ],
)
def test_what_to_write_instead_is_of_the_hooks_own_loop(
    text: str, loop: str, held: str, help: str, tmp_path: Path
) -> None:
    module = source(f"import time\n{text}", tmp_path)
    function = module.function("hook")
    assert function is not None
    (found,) = module.findings(function, loop)
    assert held in found.message
    assert help in found.help
    assert not list(module.findings(function, loop, thread=True))


@pytest.mark.parametrize(
    "call",
    [
        "def hook(ctx): time.sleep(1)",
        "import trio\nasync def hook(ctx): await trio.sleep(1)",
        "import time\ndef hook(ctx): return time.time()",
        "import time\ndef hook(ctx):\n  def later(): time.sleep(1)\n  return later",
        "def hook(ctx): ctx.send({})",
        "async def hook(ctx): await ctx.send({})",
        "async def hook(ctx): x = await ctx.online('a')",
        "async def hook(ctx): await gather(ctx.send({}), ctx.send({}))",
        "async def hook(ctx): await gather(*(ctx.send({}) for _ in 'ab'))",
        "async def hook(ctx): await gather(*[ctx.send({}) for _ in 'ab'])",
        "async def hook(ctx): task = group.create_task(ctx.server.publish('a', {}))",
        "async def hook(ctx): x = await wait_for(ctx.presence('a'), 1)",
        "async def hook(ctx):\n  todo = [ctx.send({})]\n  todo.append(ctx.send({}))",
        "async def hook(ctx): await ctx.server.publish('a', {}, everyone=True)",
        "async def hook(ctx): ctx.server.start_soon(work)",
        "def hook(ctx): ctx.server.start_soon(work)",
        "def hook(ctx): other.server.publish('a')",
    ],
)
def test_what_is_fine_is_not(call: str, tmp_path: Path) -> None:
    assert findings(call, tmp_path) == []


@pytest.mark.parametrize("verb", ["send", "to_room", "join", "close", "presence"])
def test_a_verb_without_await_does_nothing(verb: str, tmp_path: Path) -> None:
    assert findings(f"async def hook(ctx):\n  ctx.{verb}()", tmp_path) == [("CH510", 2)]


@pytest.mark.parametrize("verb", ["presence", "online", "history"])
def test_a_sync_hook_has_no_such_verb(verb: str, tmp_path: Path) -> None:
    assert findings(f"def hook(ctx):\n  return ctx.{verb}('r')", tmp_path) == [("CH511", 2)]


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("def x(): ...", True),
        ("async def x(): ...", True),
        ("class x: ...", True),
        ("x = 1", True),
        ("x: int = 1", True),
        ("a, x = 1, 2", True),
        ("import x", True),
        ("import a.b as x", True),
        ("from a import x", True),
        ("from a import *", True),
        ("try:\n  import x\nexcept ImportError:\n  x = None", True),
        ("if True:\n  x = 1", True),
        ("import x.y", True),
        ("y = 1", False),
        ("def y():\n  x = 1", False),
    ],
)
def test_which_names_a_module_binds(text: str, bound: bool, tmp_path: Path) -> None:
    assert source(text, tmp_path).binds("x") is bound


def test_a_decorated_or_replaced_function_is_not_judged(tmp_path: Path) -> None:
    module = source("@wrap\ndef a(): ...\ndef b(): ...\nb = 1\ndef c(): ...\n", tmp_path)
    judged = [name for name in "abc" if module.defines_only(name) is not None]
    assert judged == ["c"]


def test_unwired_functions_look_like_hooks(tmp_path: Path) -> None:
    text = "def a(ctx, room): ...\ndef _b(ctx, room): ...\ndef c(ctx, room): ...\nuse = c\n"
    module = source(text, tmp_path)
    assert [f.name for f in module.unwired(set(), {("ctx", "room")})] == ["a"]
    assert list(module.unwired({"a"}, {("ctx", "room")})) == []


def test_what_is_no_python_is_a_syntax_error(tmp_path: Path) -> None:
    file = tmp_path / "chat.py"
    file.write_bytes(b"\x00")
    assert isinstance(HookSource.read(file), SyntaxError)
    file.write_bytes(b"def (")
    assert isinstance(HookSource.read(file), SyntaxError)


def test_a_module_is_a_file_or_a_package(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "__init__.py").touch()
    (tmp_path / "a" / "b.py").touch()
    assert find_module("a", tmp_path) == tmp_path / "a" / "__init__.py"
    assert find_module("a.b", tmp_path) == tmp_path / "a" / "b.py"
    assert find_module("a.c", tmp_path) is None


@pytest.mark.parametrize(
    ("call", "trio", "asyncio"),
    [
        ("import asyncio\nasync def hook(ctx): await asyncio.sleep(1)", True, False),
        ("from asyncio import sleep\nasync def hook(ctx): await sleep(1)", True, False),
        ("import redis.asyncio as r\nasync def hook(ctx): r.Redis()", True, False),
        ("from aiohttp import ClientSession\nasync def hook(ctx): ClientSession()", True, False),
        ("import trio\nasync def hook(ctx): await trio.sleep(1)", False, True),
        ("import asyncio\ndef hook(ctx): asyncio.get_event_loop()", False, False),
    ],
)
def test_a_call_of_the_other_loop_is_found(
    call: str, trio: bool, asyncio: bool, tmp_path: Path
) -> None:
    assert findings(call, tmp_path) == [("CH513", 2)] * trio
    assert findings(call, tmp_path, "asyncio") == [("CH513", 2)] * asyncio


@pytest.mark.parametrize(
    "call",
    ["ctx.server.publish('a', {})", "x = ctx.server.online('a', 'b')", "print(ctx.presence('a'))"],
)
def test_a_coroutine_that_nothing_takes_does_nothing(call: str, tmp_path: Path) -> None:
    assert findings(f"async def hook(ctx):\n  {call}", tmp_path) == [("CH510", 2)]


def test_a_sync_hook_acts_on_others_from_a_thread_only(tmp_path: Path) -> None:
    verbs = "ctx.server.publish('a', {})", "ctx.server.from_thread.publish('a', {})"
    for inline, threaded, verb in ((1, 1, verbs[0]), (1, 0, verbs[1])):
        module = source(f"def hook(ctx): {verb}", tmp_path)
        function = module.function("hook")
        assert function is not None
        assert [one.code for one in module.findings(function, "trio")] == ["CH511"] * inline
        found = list(module.findings(function, "trio", thread=True))
        assert [one.code for one in found] == ["CH511"] * threaded
        assert all("from_thread.publish" in one.help for one in found)


@pytest.mark.parametrize(
    ("value", "expected", "found"),
    [
        ("False", "`None`", True),
        ("room in {'a'}", "`None`", True),
        ("not room", "`None`", True),
        ("f'{room}'", "a dict or `None`", True),
        ("[room]", "a dict or `None`", True),
        ("{'text': room}", "`None`", True),
        ("{'text': room}", "a dict or `None`", False),
        ("None", "`None`", False),
        ("changed(room)", "a dict or `None`", False),
        ("", "`None`", False),
    ],
)
def test_a_value_that_nobody_takes_is_found(
    value: str, expected: str, found: bool, tmp_path: Path
) -> None:
    module = source(f"def hook(ctx, room):\n    return {value}", tmp_path)
    function = module.function("hook")
    assert function is not None
    told = [(one.code, one.line) for one in module.results(function, expected, "help")]
    assert told == ([("CH517", 2)] if found else [])
