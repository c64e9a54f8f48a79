"""Hook modules read, not run: where a name is defined, and which calls in it will disappoint.

Only the syntax tree is looked at, so this works without the module's dependencies and has no effect on the process. It
judges what it can see: a function defined at the module's top, and the calls it makes by name.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import attrs

__all__ = ["Finding", "HookSource", "find_module"]

Function = ast.FunctionDef | ast.AsyncFunctionDef

BLOCKING = {
    "time.sleep": "await trio.sleep(…)",
    "urllib.request.urlopen": "an async HTTP client",
    "subprocess.run": "await trio.run_process(…)",
    "subprocess.call": "await trio.run_process(…)",
    "subprocess.check_call": "await trio.run_process(…)",
    "subprocess.check_output": "await trio.run_process(…)",
    "os.system": "await trio.run_process(…)",
    "input": "nothing: a server has no keyboard",
}
# Libraries that run on asyncio alone, by the names that they are imported under.
ASYNCIO = ("asyncio", "aiohttp", "aioredis", "asyncpg", "redis.asyncio", "sqlalchemy.ext.asyncio")
BLOCKING_MODULES = {"requests": "an async HTTP client such as httpx"}
AWAITED = frozenset(
    {"send", "reply", "to_room", "to_user", "to_all", "join", "leave", "close", "presence", "online", "history"}
)  # fmt: skip
ASYNC_ONLY = frozenset({"presence", "online", "history"})


@attrs.frozen(slots=True)
class Finding:
    """A call that will disappoint: a code, the words, the line in the module, what to write."""

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
        """The module at a path, or why it is none.

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
        """The function of this name at the module's top, the last definition."""
        found = [node for node in self._functions() if node.name == name]
        return found[-1] if found else None

    def function_names(self) -> list[str]:
        """The functions at the module's top."""
        return [node.name for node in self._functions()]

    def binds(self, name: str) -> bool:
        """Whether the module's top gives this name a value; True where a star import may."""
        return any(bound in (name, "*") for bound in _bound(self.tree.body))

    def defines_only(self, name: str) -> Function | None:
        """The function of this name, where nothing else (a decorator, an assignment) may have replaced it."""
        function = self.function(name)
        others = [bound for bound in _bound(self.tree.body) if bound == name]
        return function if function and not function.decorator_list and len(others) == 1 else None

    def unwired(self, wired: set[str], roles: set[tuple[str, ...]]) -> Iterator[Function]:
        """Public functions whose parameters are those of a hook, and that nothing names."""
        named = {node.id for node in ast.walk(self.tree) if isinstance(node, ast.Name)}
        for function in self._functions():
            parameters = tuple(argument.arg for argument in function.args.args)
            public = not function.name.startswith("_")
            known = function.name in wired or function.name in named
            if public and parameters in roles and not known:
                yield function

    def findings(self, function: Function, loop: str) -> Iterator[Finding]:
        """What is wrong with the calls of a hook that runs on this loop, `trio` or `asyncio`."""
        names = _aliases(self.tree)
        context = function.args.args[0].arg if function.args.args else ""
        awaited = {id(node.value) for node in ast.walk(function) if isinstance(node, ast.Await)}
        for call in _calls(function):
            yield from _blocking(call, names)
            if isinstance(function, ast.AsyncFunctionDef):
                yield from _of_other_loop(call, names, loop)
            if context in ("ctx", "context"):
                yield from _verb(call, context, function, awaited)

    def _functions(self) -> Iterator[Function]:
        for node in self.tree.body:
            if isinstance(node, Function):
                yield node


def find_module(name: str, root: Path) -> Path | None:
    """The file of a module under a folder, or None."""
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


def _calls(function: Function) -> Iterator[ast.Call]:
    # A function within may run elsewhere (a thread), so its calls are not the hook's.
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, Function | ast.Lambda | ast.ClassDef):
            continue
        if isinstance(node, ast.Call):
            yield node
        waiting.extend(ast.iter_child_nodes(node))


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
    """What a call calls, by its full name; empty where that is not an import, nor `input`."""
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


def _blocking(call: ast.Call, names: dict[str, str]) -> Iterator[Finding]:
    dotted = _called(call, names)
    instead = BLOCKING.get(dotted) or BLOCKING_MODULES.get(dotted.partition(".")[0])
    if instead:
        help = f"use {instead} in an `async def`, or set `thread: true`"
        yield Finding(
            "CH506", f"`{dotted}` blocks the whole server while it waits", call.lineno, help
        )


def _verb(call: ast.Call, context: str, function: Function, awaited: set[int]) -> Iterator[Finding]:
    match call.func:
        case ast.Attribute(value=ast.Name(id=name), attr=verb) if name == context:
            pass
        case _:
            return
    is_async = isinstance(function, ast.AsyncFunctionDef)
    if not is_async and verb in ASYNC_ONLY:
        help = f"write `async def {function.name}`, and `await {context}.{verb}(…)`"
        yield Finding("CH511", f"a sync hook has no `{context}.{verb}`", call.lineno, help)
    if is_async and verb in AWAITED and id(call) not in awaited:
        help = f"write `await {context}.{verb}(…)`"
        yield Finding(
            "CH510", f"`{context}.{verb}(…)` does nothing without `await`", call.lineno, help
        )
