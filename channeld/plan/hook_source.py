"""Analyses the source of hook modules without running them: where a name is defined, and which calls are mistakes.

It only looks at the syntax tree, so it needs none of the module's dependencies and has no side effects. It covers what can
be seen there: functions defined at the top level, and the calls that they make by name.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import attrs

Function = ast.FunctionDef | ast.AsyncFunctionDef

BLOCKING = {
    "time.sleep": "`await trio.sleep(…)`",
    "urllib.request.urlopen": "an async HTTP client",
    "subprocess.run": "`await trio.run_process(…)`",
    "subprocess.call": "`await trio.run_process(…)`",
    "subprocess.check_call": "`await trio.run_process(…)`",
    "subprocess.check_output": "`await trio.run_process(…)`",
    "os.system": "`await trio.run_process(…)`",
    "input": "nothing: a server has no keyboard",
}
# Libraries that only run on asyncio, by import name.
ASYNCIO = ("asyncio", "aiohttp", "aioredis", "asyncpg", "redis.asyncio", "sqlalchemy.ext.asyncio")
BLOCKING_MODULES = {"requests": "an async HTTP client such as httpx2"}
ON_ASYNCIO = {
    "`await trio.sleep(…)`": "`await asyncio.sleep(…)`",
    "`await trio.run_process(…)`": "`await asyncio.create_subprocess_exec(…)`",
}
# Expressions whose type of value is known without running them.
_PLAIN_VALUES = (
    *(ast.Constant, ast.JoinedStr, ast.Compare, ast.BoolOp, ast.UnaryOp),
    *(ast.Dict, ast.List, ast.Tuple, ast.Set, ast.ListComp),
)
AWAITED = frozenset(
    {"send", "reply", "to_room", "to_user", "to_all", "join", "leave", "close", "presence", "online", "history", "set_presence"}
)  # fmt: skip
ASYNC_ONLY = frozenset({"presence", "online", "history"})
OF_SERVER = frozenset(
    {"publish", "disconnect", "revoke", "subscribe", "unsubscribe", "online", "presence", "set_presence", "history", "clear"}
)  # fmt: skip
# Calls that take a coroutine and run it.
TAKERS = frozenset(
    {"create_task", "ensure_future", "gather", "wait_for", "shield", "wait", "as_completed", "append", "run_coroutine_threadsafe"}
)  # fmt: skip


@attrs.frozen(slots=True)
class Finding:
    """A mistaken call: code, message, line in the module, and what to write instead."""

    code: str
    message: str
    line: int
    help: str


@attrs.frozen(slots=True)
class HookSource:
    """A parsed hook module."""

    path: Path
    tree: ast.Module

    @classmethod
    def read(cls, path: Path) -> "HookSource | SyntaxError":
        """Parse the module at a path, or say why it can't be parsed.

        Raises:
            OSError: the file can't be read.
        """
        try:
            return cls(path, ast.parse(path.read_bytes(), filename=str(path)))
        except SyntaxError as error:
            return error
        except ValueError as error:
            return SyntaxError(str(error))

    def function(self, name: str) -> Function | None:
        """The top-level function of this name (the last definition)."""
        found = [node for node in self._functions() if node.name == name]
        return found[-1] if found else None

    def function_names(self) -> list[str]:
        """The names of the top-level functions."""
        return [node.name for node in self._functions()]

    def binds(self, name: str) -> bool:
        """Whether the top level binds this name, or may do so by a star import."""
        return any(bound in (name, "*") for bound in _bound(self.tree.body))

    def defines_only(self, name: str) -> Function | None:
        """The function of this name, unless something else (a decorator, an assignment) may replace it."""
        function = self.function(name)
        others = [bound for bound in _bound(self.tree.body) if bound == name]
        return function if function and not function.decorator_list and len(others) == 1 else None

    def unwired(self, wired: set[str], roles: set[tuple[str, ...]]) -> Iterator[Function]:
        """Public functions that have a hook's parameters but are not used as hooks."""
        named = {node.id for node in ast.walk(self.tree) if isinstance(node, ast.Name)}
        for function in self._functions():
            parameters = tuple(argument.arg for argument in function.args.args)
            public = not function.name.startswith("_")
            known = function.name in wired or function.name in named
            if public and parameters in roles and not known:
                yield function

    def findings(self, function: Function, loop: str, *, thread: bool = False) -> Iterator[Finding]:
        """Mistakes in the calls of a hook that runs on this loop, `trio` or `asyncio`, or in a worker thread."""
        names = _aliases(self.tree)
        context = function.args.args[0].arg if function.args.args else ""
        is_async = isinstance(function, ast.AsyncFunctionDef)
        above = {
            id(child): node for node in ast.walk(function) for child in ast.iter_child_nodes(node)
        }
        for call in _calls(function):
            if not thread:
                yield from _blocking(call, names, loop if is_async else None)
            if is_async:
                yield from _of_other_loop(call, names, loop)
            if context not in ("ctx", "context"):
                continue
            if is_async:
                yield from _not_awaited(call, context, above)
            else:
                yield from _not_in_sync(call, context, function.name, thread=thread)

    def results(self, function: Function, expected: str, help: str) -> Iterator[Finding]:
        """Return values of a hook that are ignored, as far as their form shows it: `False`, `room in allowed`."""
        for node in _within(function):
            if not isinstance(node, ast.Return) or not isinstance(node.value, _PLAIN_VALUES):
                continue
            is_none = isinstance(node.value, ast.Constant) and node.value.value is None
            if not is_none and not (isinstance(node.value, ast.Dict) and "dict" in expected):
                message = f"the hook returns `{_brief(node.value)}` where {expected} is expected"
                yield Finding("CH517", message, node.lineno, help)

    def _functions(self) -> Iterator[Function]:
        for node in self.tree.body:
            if isinstance(node, Function):
                yield node


def find_module(name: str, root: Path) -> Path | None:
    """Find a module's file under a folder, or None."""
    stem = root.joinpath(*name.split("."))
    for candidate in (stem / "__init__.py", stem.with_name(stem.name + ".py")):
        if candidate.is_file():
            return candidate
    return None


def _bound(body: list[ast.stmt]) -> Iterator[str]:
    for node in body:
        match node:
            case (
                ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.ClassDef(name=name)
            ):
                yield name
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                for alias in names:
                    yield (alias.asname or alias.name).partition(".")[0]
            case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
                for child in ast.walk(node):
                    if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
                        yield child.id
            case ast.If() | ast.Try() | ast.With():
                yield from _bound(
                    [s for s in ast.iter_child_nodes(node) if isinstance(s, ast.stmt)]
                )
            case _:
                pass


def _within(function: Function) -> Iterator[ast.AST]:
    # A nested function may run elsewhere (in a thread), so its calls are not the hook's.
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, Function | ast.Lambda | ast.ClassDef):
            continue
        yield node
        waiting.extend(ast.iter_child_nodes(node))


def _calls(function: Function) -> Iterator[ast.Call]:
    return (node for node in _within(function) if isinstance(node, ast.Call))


def _brief(value: ast.expr) -> str:
    text = ast.unparse(value)
    return text if len(text) <= 40 else f"{text[:40]}…"


def _aliases(tree: ast.Module) -> dict[str, str]:
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                # `import a.b` binds `a`; `import a.b as c` binds the submodule.
                target = alias.name if alias.asname else alias.name.partition(".")[0]
                names[alias.asname or target] = target
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def _called(call: ast.Call, names: dict[str, str]) -> str:
    """The full name of what a call calls; empty unless it is an import or `input`."""
    parts: list[str] = []
    target: ast.expr = call.func
    while isinstance(target, ast.Attribute):
        parts.insert(0, target.attr)
        target = target.value
    if not isinstance(target, ast.Name):
        return ""
    if target.id != "input" and target.id not in names:
        return ""
    return ".".join([names.get(target.id, target.id), *parts])


def _of_other_loop(call: ast.Call, names: dict[str, str], loop: str) -> Iterator[Finding]:
    dotted = _called(call, names)
    needs_asyncio = any(dotted.startswith(f"{library}.") for library in ASYNCIO)
    if loop == "trio" and needs_asyncio:
        message = f"`{dotted}` needs asyncio, and this hook runs on trio"
        yield Finding("CH513", message, call.lineno, "set `loop: asyncio`, or use trio's own")
    elif loop == "asyncio" and dotted.startswith("trio."):
        message = f"`{dotted}` needs trio, and this hook runs on asyncio"
        yield Finding("CH513", message, call.lineno, "set `loop: trio`, or use asyncio's own")


def _blocking(call: ast.Call, names: dict[str, str], loop: str | None) -> Iterator[Finding]:
    """A finding for a call that blocks the hook's event loop; None for a sync hook."""
    dotted = _called(call, names)
    instead = BLOCKING.get(dotted) or BLOCKING_MODULES.get(dotted.partition(".")[0])
    if not instead:
        return
    held, help = "the whole server", f"use {instead} in an `async def`, or set `thread: true`"
    if loop == "trio":
        help = f"use {instead}, or `await trio.to_thread.run_sync(…)`"
    elif loop == "asyncio":
        held = "all asyncio hooks"
        help = f"use {ON_ASYNCIO.get(instead, instead)}, or `await asyncio.to_thread(…)`"
    yield Finding("CH506", f"`{dotted}` blocks {held} while it waits", call.lineno, help)


def _verb(call: ast.Call, context: str) -> tuple[str, str]:
    """What a call uses of the hook's context (`ctx`, `ctx.server` or `ctx.server.from_thread`), and the verb."""
    match call.func:
        case ast.Attribute(value=value, attr=verb):
            owner = ast.unparse(value)
            if owner in (context, f"{context}.server", f"{context}.server.from_thread"):
                return owner, verb
    return "", ""


def _not_awaited(call: ast.Call, context: str, above: dict[int, ast.AST]) -> Iterator[Finding]:
    owner, verb = _verb(call, context)
    verbs = {context: AWAITED, f"{context}.server": OF_SERVER}.get(owner, frozenset())
    if verb in verbs and not _is_taken(call, above):
        message = f"`{owner}.{verb}(…)` does nothing without `await`"
        yield Finding("CH510", message, call.lineno, f"write `await {owner}.{verb}(…)`")


def _is_taken(call: ast.Call, above: dict[int, ast.AST]) -> bool:
    """Whether something awaits a call's coroutine, or may do so later because it is passed on or put in a list."""
    node: ast.AST | None = above.get(id(call))
    if isinstance(node, ast.Await):
        return True
    while node is not None and not isinstance(node, ast.stmt):
        match node:
            case ast.List() | ast.Tuple() | ast.Set() | ast.ListComp() | ast.GeneratorExp():
                return True
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)) if name in TAKERS:
                return True
        node = above.get(id(node))
    return False


def _not_in_sync(call: ast.Call, context: str, hook: str, *, thread: bool) -> Iterator[Finding]:
    owner, verb = _verb(call, context)
    if owner == context and verb in ASYNC_ONLY:
        help = f"write `async def {hook}`, and `await {context}.{verb}(…)`"
        yield Finding("CH511", f"a sync hook has no `{context}.{verb}`", call.lineno, help)
    elif owner == f"{context}.server" and verb in OF_SERVER:
        help = f"write `async def {hook}`, and `await {owner}.{verb}(…)`"
        if thread:
            help = f"write `{owner}.from_thread.{verb}(…)`"
        yield Finding(
            "CH511", f"`{owner}.{verb}(…)` does nothing in a sync hook", call.lineno, help
        )
    elif owner == f"{context}.server.from_thread" and not thread:
        message = f"`{owner}` waits for the server, whose thread this hook runs on"
        help = f"set `thread: true`, or write `async def {hook}`, and `await {context}.server.{verb}(…)`"
        yield Finding("CH511", message, call.lineno, help)
