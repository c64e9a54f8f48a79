"""Loads hooks: resolves `module:function` to a function whose signature fits its role, or reports what to fix.

Each hook is checked twice: its source, without running it (`hook_source.py`), and the imported object, unless importing is
off. The configuration's own folder comes first on `sys.path`, and a module of it that was imported from elsewhere is
imported again.
"""

import enum
import functools
import inspect
import traceback
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Literal

import attrs

from channeld.config.model import Backend, HookRef
from channeld.diagnostics.diagnostic import Place, Related
from channeld.plan.hook_import import import_module, module_names, raised_at
from channeld.plan.hook_source import HookSource, find_module
from channeld.plan.plan import Hook, RemoteHook, unasked
from channeld.plan.templates import TemplateCompiler
from channeld.suggest import did_you_mean


class Role(enum.Enum):
    """What a hook is for, as requests to a backend name it; the value holds the parameters it is called with."""

    MESSAGE = ("ctx", "message")
    CONNECT = ("ctx",)
    CLOSE = ("ctx", "code", "reason")
    SUBSCRIBE = ("ctx", "room")
    # One member per role, even though two take the same parameters.
    UNSUBSCRIBE = ("ctx", "room", "")
    AUTHENTICATE = ("request",)
    LIFESPAN = ("server",)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Its parameter names, in order."""
        return tuple(name for name in self.value if name)

    @property
    def signature(self) -> str:
        """Its parameter list as source text."""
        return f"({', '.join(self.parameters)})"


_REFUSES: Final = ("`None`", 'to refuse write `raise Reject("…")`')
_RESULTS: Final = {
    Role.MESSAGE: (
        "a dict or `None`",
        'to refuse write `raise Reject("…")`, to go on `return None`',
    ),
    Role.CONNECT: _REFUSES,
    Role.SUBSCRIBE: _REFUSES,
    Role.CLOSE: ("`None`", "remove the value"),
    Role.UNSUBSCRIBE: ("`None`", "remove the value"),
    Role.AUTHENTICATE: ("a `User` or `None`", "write `return User(id)`, or `return None`"),
    Role.LIFESPAN: ("`None`", "yield the state once"),
}
"""What each kind of hook may return, and what to write in place of another value."""


@attrs.define(eq=False)
class HookLoader:
    """Loads the hooks of one configuration; findings go to the report of the templates."""

    templates: TemplateCompiler
    root: Path
    imports: bool = True
    fresh: AbstractSet[str] = frozenset()
    loop: Literal["trio", "asyncio"] = "trio"
    backends: Mapping[str, Backend] = attrs.field(factory=dict)
    _modules: dict[str, ModuleType | None] = attrs.field(factory=dict, init=False)
    _sources: dict[str, HookSource | None] = attrs.field(factory=dict, init=False)
    _wired: dict[str, set[str]] = attrs.field(factory=dict, init=False)

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules of the loaded hooks, in the order of the file."""
        return tuple(self._wired)

    def load(self, ref: HookRef | None, pointer: str, role: Role) -> Hook | None:
        """Load the hook declared at `pointer`; None if there is none, or if it has an error (which is reported)."""
        if ref is None:
            return None
        if ref.backend is not None:
            return self._remote(ref, role)
        if isinstance(self.templates.sources.written(pointer), dict):
            pointer += "/call"
        place = self.templates.sources.place(pointer)
        module, _, function = ref.call.partition(":")
        if not module or not function:
            finding = f"`{ref.call}` does not name a function"
            self.templates.find("CH503", finding, place, "write `module:function`")
            return None
        self._wired.setdefault(module, set()).add(function)
        if not self._read(module, place) or not self._judge_source(ref, role, place):
            return None
        if not self.imports:
            call = functools.partial(_not_imported, ref.call)
            return self._made(ref, call, is_async=self._is_async(module, function))
        return self._import(ref, role, place)

    def _remote(self, ref: HookRef, role: Role) -> Hook | None:
        backend = self.backends.get(ref.backend or "")
        if backend is None:
            return None  # reported as CH435
        kind, name = role.name.lower(), ref.backend or ""
        asked = RemoteHook(kind=kind, name=name, backend=backend, path=ref.path)
        return attrs.evolve(self._made(ref, unasked, is_async=True), remote=asked)

    def note_unwired(self) -> None:
        """Report functions of the loaded modules that look like hooks but are not used."""
        roles = {role.parameters for role in Role if len(role.parameters) > 1}
        for name, wired in self._wired.items():
            source = self._sources.get(name)
            if source is None:
                continue
            for function in source.unwired(wired, roles):
                place = self._line(source.path, function.lineno)
                finding = f"`{function.name}` looks like a hook, but is not used"
                written = f"`hook: {name}:{function.name}`"
                help = f"name it in the configuration ({written}), or rename it"
                self.templates.find("CH508", finding, place, help)

    def _read(self, module: str, place: Place) -> bool:
        """Read a module's source once; False if that failed and was reported."""
        if module in self._sources:
            return module not in self._modules or self._modules[module] is not None
        self._sources[module] = None
        path = find_module(module, self.root)
        if path is None:
            top = self.root / module.partition(".")[0]
            if self.imports or not (top.is_dir() or top.with_suffix(".py").is_file()):
                return True
            self._modules[module] = None
            self._report_missing(module, place)
            return False
        try:
            source = HookSource.read(path)
        except OSError as error:
            self._modules[module] = None
            self.templates.find("CH502", f"`{module}` can't be read: {error.strerror}", place)
            return False
        if isinstance(source, SyntaxError):
            self._modules[module] = None
            self._report_failure(module, place, source)
            return False
        self._sources[module] = source
        return True

    def _judge_source(self, ref: HookRef, role: Role, place: Place) -> bool:
        module, _, name = ref.call.partition(":")
        source = self._sources.get(module)
        if source is None or "." in name:
            return True
        if not source.binds(name):
            self._report_unknown(source, module, name, place)
            return False
        function = source.defines_only(name)
        if function is None:
            return True
        told = source.findings(function, ref.loop or self.loop, thread=ref.thread)
        for found in (*told, *source.results(function, *_RESULTS[role])):
            related = Related(place=self._line(source.path, found.line), message="here")
            label = f"line {found.line} of {source.path.name}"
            self.templates.find(
                found.code, found.message, place, found.help, label=label, related=(related,)
            )
        if not self.imports and role is not Role.LIFESPAN:
            # Without the real object, the parameters are all that can be checked.
            return self._fits(_signature_of(function), ref, role, place)
        return True

    def _import(self, ref: HookRef, role: Role, place: Place) -> Hook | None:
        module_name, _, name = ref.call.partition(":")
        module = self._module(module_name, place)
        if module is None:
            return None
        try:
            found = functools.reduce(getattr, name.split("."), module)
        except AttributeError:
            names = [key for key, value in vars(module).items() if callable(value)]
            help = did_you_mean(name, names, f"define `{name}`, or name another function")
            self.templates.find("CH503", f"`{module_name}` has no `{name}`", place, help)
            return None
        return self._judge(found, ref, role, place)

    def _judge(self, found: object, ref: HookRef, role: Role, place: Place) -> Hook | None:
        if not callable(found):
            kind = type(found).__name__
            article = "an" if kind[:1] in "aeiou" else "a"
            finding = f"`{ref.call}` is not a function but {article} `{kind}`"
            self.templates.find("CH505", finding, place, f"name a function `{role.signature}`")
            return None
        is_async = _is_async(found)
        if not self._shape_fits(found, ref, role, place):
            return None
        try:
            signature = inspect.signature(found)
        except (TypeError, ValueError):
            # Some builtins have no signature; only calling them would tell.
            signature = None
        if signature is not None and not self._fits(signature, ref, role, place):
            return None
        if ref.thread and is_async:
            finding = f"`{ref.call}` is async, so `thread: true` has no effect"
            self.templates.find("CH509", finding, place, "remove `thread: true`, or the `async`")
        if ref.loop is not None and not is_async and role is not Role.LIFESPAN:
            finding = f"`{ref.call}` is not async, so `loop` has no effect"
            self.templates.find("CH516", finding, place, "remove `loop`, or write `async def`")
        return self._made(ref, found, is_async=is_async)

    def _made(self, ref: HookRef, call: Callable[..., Any], *, is_async: bool) -> Hook:
        return Hook(
            name=ref.call,
            call=call,
            is_async=is_async,
            thread=ref.thread and not is_async,
            accepts_on_failure=ref.on_failure == "accept",
            loop=ref.loop or self.loop,
        )

    def _shape_fits(
        self, found: Callable[..., Any], ref: HookRef, role: Role, place: Place
    ) -> bool:
        name = ref.call.partition(":")[2]
        generates = inspect.isgeneratorfunction(found) or inspect.isasyncgenfunction(found)
        if role is Role.LIFESPAN:
            # `contextmanager` wraps a generator; the result is for `with`, not `async with`.
            is_sync = inspect.isgeneratorfunction(inspect.unwrap(found))
            if generates or is_sync or inspect.iscoroutinefunction(found):
                finding = f"`{ref.call}` is not an async context manager"
                help = "put `@contextlib.asynccontextmanager` above an `async def` that yields once"
                self.templates.find("CH507", finding, place, help)
                return False
            return True
        if generates:
            finding = f"`{ref.call}` is a generator: it would never run"
            self.templates.find("CH507", finding, place, f"remove the `yield` from `{name}`")
            return False
        return True

    def _fits(self, signature: inspect.Signature, ref: HookRef, role: Role, place: Place) -> bool:
        name = ref.call.partition(":")[2]
        wanted = role.parameters
        names = tuple(signature.parameters)
        is_async = self._is_async(ref.call.partition(":")[0], name)
        help = f"write `{'async ' * is_async}def {name}{role.signature}`"
        if "." in name:
            help = f"write a function `{role.signature}` at the top of the module: a hook has no object"
        swapped = names != wanted and sorted(names) == sorted(wanted)
        try:
            signature.bind(*wanted)
        except TypeError:
            pass
        else:
            if not swapped:
                return True
        shown = f"`{name}({', '.join(str(p) for p in signature.parameters.values())})`"
        finding = f"{shown} cannot be called with `{role.signature}`"
        if swapped:
            finding = f"{shown} has its parameters in another order than `{role.signature}`"
        self.templates.find("CH504", finding, place, help)
        return False

    def _module(self, name: str, place: Place) -> ModuleType | None:
        if name in self._modules:
            return self._modules[name]
        # Once only: a second time would replace a fresh module that others have already imported.
        fresh = frozenset[str]() if any(self._modules.values()) else self.fresh
        self._modules[name] = None
        try:
            self._modules[name] = import_module(name, self.root, fresh)
        except ModuleNotFoundError as error:
            if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
                self._report_missing(name, place)
            else:
                self._report_failure(name, place, error)
        except (Exception, SystemExit) as error:  # a user's module may raise anything
            self._report_failure(name, place, error)
        return self._modules[name]

    def _is_async(self, module: str, name: str) -> bool:
        source = self._sources.get(module)
        function = source.function(name) if source is not None else None
        return function is not None and type(function).__name__ == "AsyncFunctionDef"

    def _report_missing(self, module: str, place: Place) -> None:
        help = did_you_mean(
            module, module_names(self.root), f"looked in {self.root.name or '.'}/ and on `sys.path`"
        )
        self.templates.find("CH501", f"there is no module `{module}`", place, help)

    def _report_failure(self, module: str, place: Place, error: BaseException) -> None:
        words = traceback.format_exception_only(error)[-1].strip()
        where = raised_at(error, self.root)
        related: tuple[Related, ...] = ()
        label = words
        if where is not None:
            file, line = where
            label = f"line {line}: {words}"
            related = (Related(place=self._line(file, line), message="raised here"),)
        help = f"try `python -c 'import {module}'`"
        finding = f"`{module}` cannot be imported"
        self.templates.find("CH502", finding, place, help, label=label, related=related)

    def _report_unknown(self, source: HookSource, module: str, name: str, place: Place) -> None:
        names = source.function_names()
        help = did_you_mean(name, names, f"define `{name}`, or name another function")
        function = next((source.function(n) for n in names if f"`{n}`" in help), None)
        related: tuple[Related, ...] = ()
        if function is not None:
            # The function was meant to be used, so do not report it as unused as well.
            self._wired.setdefault(module, set()).add(function.name)
            there = self._line(source.path, function.lineno)
            related = (Related(place=there, message="defined here"),)
        self.templates.find("CH503", f"`{module}` has no `{name}`", place, help, related=related)

    def _line(self, file: Path | str, number: int) -> Place:
        """Make a line of a module available to the report."""
        path = Path(file)
        here = Path.cwd()
        # Relative as the user would write it, for links in reports and CI annotations.
        name = str(path.relative_to(here) if path.is_relative_to(here) else path)
        text = _text(path)
        self.templates.sources.show(name, text)
        line = "".join(text.splitlines()[number - 1 : number])
        start = len(line) - len(line.lstrip()) + 1
        return Place(name, number, start, number, max(start, len(line.rstrip()) + 1))


def _is_async(found: Callable[..., Any]) -> bool:
    call = type(found).__call__
    return inspect.iscoroutinefunction(found) or inspect.iscoroutinefunction(call)


def _not_imported(name: str, *_arguments: object) -> Any:
    raise RuntimeError(f"{name} was not imported: the plan was compiled without hooks")


def _signature_of(function: Any) -> inspect.Signature:
    arguments = function.args
    kinds = inspect.Parameter
    positional = [*arguments.posonlyargs, *arguments.args]
    optional = len(positional) - len(arguments.defaults)
    found = [
        kinds(a.arg, kinds.POSITIONAL_OR_KEYWORD, default=kinds.empty if i < optional else None)
        for i, a in enumerate(positional)
    ]
    if arguments.vararg:
        found.append(kinds(arguments.vararg.arg, kinds.VAR_POSITIONAL))
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        empty = kinds.empty if default is None else None
        found.append(kinds(argument.arg, kinds.KEYWORD_ONLY, default=empty))
    if arguments.kwarg:
        found.append(kinds(arguments.kwarg.arg, kinds.VAR_KEYWORD))
    return inspect.Signature(found)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
