import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from channeld.config.model import HookRef
from channeld.plan.hooks import HookLoader, Role
from channeld.plan.templates import TemplateCompiler

Compile = Callable[..., Any]


@pytest.fixture(autouse=True)
def clean_imports() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def config(hook: str = "chat:hello", *, channel: str = "", top: str = "") -> str:
    return f"""channeld: 1
{top}
channels:
  room:
    path: /rooms
    auth: none
    {channel}
    messages:
      say: {{schema: true, route: sender, hook: {hook}}}
"""


def codes(outcome: Any) -> list[str]:
    return [code for code in outcome.codes() if code.startswith("CH5")]


@pytest.fixture
def load(compile_text: Compile, tmp_path: Path) -> Callable[..., Any]:
    def run(module: str, text: str | None = None, *, import_hooks: bool = True) -> Any:
        (tmp_path / "chat.py").write_text(module)
        sys.modules.pop("chat", None)
        return compile_text(text or config(), root=str(tmp_path), import_hooks=import_hooks)

    return run


def test_a_sync_hook_is_loaded(load: Callable[..., Any]) -> None:
    outcome = load("def hello(ctx, message):\n    return {'n': 1}\n")
    hook = outcome.compiled.plan.channels["room"].messages["say"].hook
    assert (hook.name, hook.is_async, hook.thread) == ("chat:hello", False, False)
    assert hook.call(None, {}) == {"n": 1}
    assert outcome.compiled.plan.hook_modules == ("chat",)


async def test_an_async_hook_is_loaded(load: Callable[..., Any]) -> None:
    hook = (
        load("async def hello(ctx, message):\n    return None\n")
        .compiled.plan.channels["room"]
        .messages["say"]
        .hook
    )
    assert hook.is_async
    assert await hook.call(None, {}) is None


def test_a_callable_object_may_be_async(load: Callable[..., Any]) -> None:
    module = "class Hello:\n    async def __call__(self, ctx, message): ...\nhello = Hello()\n"
    assert load(module).compiled.plan.channels["room"].messages["say"].hook.is_async


def test_a_hook_may_run_in_a_thread(load: Callable[..., Any]) -> None:
    text = config("{call: chat:hello, thread: true}")
    outcome = load("import time\ndef hello(ctx, message): time.sleep(1)\n", text)
    assert outcome.compiled.plan.channels["room"].messages["say"].hook.thread
    assert codes(outcome) == []


@pytest.mark.parametrize(
    ("declared", "function"),
    [
        ("connect", "(ctx)"),
        ("close", "(ctx, code, reason)"),
        ("subscribe", "(ctx, room)"),
        ("unsubscribe", "(ctx, room)"),
    ],
)
def test_each_role_has_its_parameters(
    declared: str, function: str, load: Callable[..., Any]
) -> None:
    text = config("chat:say", channel=f"hooks: {{{declared}: chat:hello}}")
    say = "def say(ctx, message): ...\n"
    assert codes(load(f"{say}def hello{function}: ...\n", text)) == []
    outcome = load(f"{say}def hello(): ...\n", text)
    assert codes(outcome) == ["CH504"]
    assert outcome.finding("CH504").help == f"write `def hello{function}`"


@pytest.mark.parametrize(
    "parameters", ["ctx, message", "a, b", "*args", "ctx, message, more=1", "ctx, /, message"]
)
@pytest.mark.parametrize("import_hooks", [True, False])
def test_parameters_that_fit(parameters: str, import_hooks: bool, load: Callable[..., Any]) -> None:
    module = f"def hello({parameters}): ...\n"
    assert codes(load(module, import_hooks=import_hooks)) == []


@pytest.mark.parametrize(
    "parameters", ["ctx", "message, ctx", "ctx, message, more", "ctx, message, *, more", ""]
)
@pytest.mark.parametrize("import_hooks", [True, False])
def test_parameters_that_do_not(
    parameters: str, import_hooks: bool, load: Callable[..., Any]
) -> None:
    module = f"def hello({parameters}): ...\n"
    assert codes(load(module, import_hooks=import_hooks)) == ["CH504"]


def test_a_missing_function_is_compared(load: Callable[..., Any]) -> None:
    outcome = load("x = 1\ndef hallo(ctx, message): ...\n")
    assert codes(outcome) == ["CH503"]
    found = outcome.finding("CH503")
    assert found.message == "`chat` has no `hello`"
    assert found.help == "did you mean `hallo`?"
    assert [(r.place.line, r.message) for r in found.related] == [(2, "defined here")]


def test_a_missing_module_is_compared(load: Callable[..., Any]) -> None:
    found = load("def hello(ctx, message): ...\n", config("chatt:hello")).finding("CH501")
    assert found.message == "there is no module `chatt`"
    assert found.help == "did you mean `chat`?"


def test_a_module_s_own_missing_import_is_another_matter(load: Callable[..., Any]) -> None:
    found = load("import no_such_thing\ndef hello(ctx, message): ...\n").finding("CH502")
    assert "line 1: ModuleNotFoundError" in found.label
    assert [r.place.line for r in found.related] == [1]


@pytest.mark.parametrize(
    ("module", "label"),
    [
        ("def hello(ctx, message): ...\nx = 1 / 0\n", "line 2: ZeroDivisionError"),
        ("def hello(ctx, message):\n  return (\n", "SyntaxError"),
        ("def hello(ctx, message): ...\nraise SystemExit(3)\n", "line 2: SystemExit"),
    ],
)
def test_a_module_that_fails_shows_its_line(
    module: str, label: str, load: Callable[..., Any]
) -> None:
    outcome = load(module)
    assert codes(outcome) == ["CH502"]
    assert label in outcome.finding("CH502").label


def test_a_module_that_fails_is_told_once_a_place(load: Callable[..., Any]) -> None:
    text = config(channel="hooks: {connect: chat:joined}")
    outcome = load("def hello(ctx, message): ...\ndef joined(ctx): ...\n1 / 0\n", text)
    assert codes(outcome) == ["CH502"]


def test_a_generator_never_runs(load: Callable[..., Any]) -> None:
    assert codes(load("async def hello(ctx, message): yield\n")) == ["CH507"]


def test_a_value_is_no_hook(load: Callable[..., Any]) -> None:
    found = load("hello = 1\n").finding("CH505")
    assert found.message == "`chat:hello` is not a function but an `int`"


LIFESPAN = config(top="hooks: {lifespan: chat:life}")
HELLO = "def hello(ctx, message): ...\n"


def test_a_lifespan_is_a_context_manager(load: Callable[..., Any]) -> None:
    module = "import contextlib\n@contextlib.asynccontextmanager\nasync def life(server): yield 1\n"
    outcome = load(HELLO + module, LIFESPAN)
    assert codes(outcome) == []
    assert [one.name for one in outcome.compiled.plan.lifespans] == ["chat:life"]


@pytest.mark.parametrize(
    "body",
    [
        "async def life(server): yield 1",
        "async def life(server): ...",
        "import contextlib\n@contextlib.contextmanager\ndef life(server): yield 1",
    ],
)
def test_a_bare_function_is_no_lifespan(body: str, load: Callable[..., Any]) -> None:
    found = load(HELLO + body + "\n", LIFESPAN).finding("CH507")
    assert "asynccontextmanager" in found.help


def test_an_authenticator_gets_the_request(load: Callable[..., Any]) -> None:
    text = config(top="auth: {own: {type: hook, hook: chat:who}}").replace(
        "auth: none", "auth: own"
    )
    outcome = load(HELLO + "def who(request): ...\n", text)
    (auth,) = outcome.compiled.plan.channels["room"].auth
    assert auth.hook.name == "chat:who"


def test_without_importing_nothing_runs(load: Callable[..., Any]) -> None:
    outcome = load("async def hello(ctx, message): ...\n1 / 0\n", import_hooks=False)
    hook = outcome.compiled.plan.channels["room"].messages["say"].hook
    assert hook.is_async
    with pytest.raises(RuntimeError, match="was not imported"):
        hook.call(None, {})
    assert "chat" not in sys.modules


def test_without_importing_an_installed_module_is_trusted(load: Callable[..., Any]) -> None:
    elsewhere = config("some_package.hooks:hello")
    assert codes(load(HELLO, elsewhere, import_hooks=False)) == []


def test_without_importing_a_missing_file_is_still_found(
    load: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "pack").mkdir()
    text = config("pack.hooks:hello")
    assert codes(load(HELLO, text, import_hooks=False)) == ["CH501"]


def test_two_hooks_of_one_module_share_it(load: Callable[..., Any]) -> None:
    text = config(channel="hooks: {connect: chat:joined}")
    module = "seen = []\ndef hello(ctx, message): return seen\ndef joined(ctx): return seen\n"
    channel = load(module, text).compiled.plan.channels["room"]
    assert channel.messages["say"].hook.call(None, {}) is channel.connect.call(None)


def test_an_unwired_hook_is_noted(load: Callable[..., Any]) -> None:
    outcome = load(HELLO + "def bye(ctx, code, reason): ...\n")
    found = outcome.finding("CH508")
    assert found.place.line == 2
    assert found.severity == "info"


def test_a_name_without_a_function_is_refused(templates: TemplateCompiler, tmp_path: Path) -> None:
    assert (
        HookLoader(templates, tmp_path).load(HookRef(call="chat:"), "/hook", Role.CONNECT) is None
    )
    assert [finding.code for finding in templates.report] == ["CH503"]


def test_a_star_import_is_looked_through(load: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "more.py").write_text("def hallo(ctx, message): ...\n")
    found = load("from more import *\n").finding("CH503")
    assert found.help == "did you mean `hallo`?"


def test_a_builtin_without_a_signature_is_trusted(load: Callable[..., Any]) -> None:
    outcome = load("hello = dict\n")
    assert codes(outcome) == []


def test_places_in_modules_are_relative(
    load: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = load(HELLO + "async def bye(ctx, room): ...  \n").finding("CH508")
    place = found.place
    assert place.file == "chat.py"
    assert (place.column, place.end_line - place.line, place.end_column) == (1, 0, 30)


def test_an_unreadable_module_is_told(
    load: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert load(HELLO).finding("CH502").message == "`chat` can't be read: Permission denied"
