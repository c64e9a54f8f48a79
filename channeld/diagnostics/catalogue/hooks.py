"""CH5xx: hooks. The examples name `chat:hello`; their first comment line says what the module `chat` holds."""

from channeld.diagnostics.catalogue.entry import Entry
from channeld.diagnostics.diagnostic import Severity

__all__ = ["ENTRIES"]

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO

GOOD = "def hello(ctx, message): return None"


def _hook(module: str, hook: str = "chat:hello") -> str:
    """A configuration whose one message has this hook; `module` is the text of `chat.py`, lines divided by `|`."""
    return f"""# chat.py: {module}
channeld: 1
channels:
  room:
    path: /rooms
    description: One room for all.
    auth: none
    messages:
      say:
        schema: {{type: object, required: [text], properties: {{text: {{type: string, maxLength: 99}}}}}}
        hook: {hook}
"""


ENTRIES: tuple[Entry, ...] = (
    Entry(
        "CH501",
        "hook-module-not-found",
        ERROR,
        "hook's module can't be found",
        "A hook is named `module:function`. The module is looked for in the folder of the configuration (or the one "
        "that `hooks.path` names), then where Python looks.",
        wrong=_hook(GOOD, "chatt:hello"),
        right=_hook(GOOD),
    ),
    Entry(
        "CH502",
        "hook-import-failed",
        ERROR,
        "hook's module raises when it is imported",
        "The module was found, but its own code failed. The line that raised is shown.",
        wrong=_hook("1 / 0|" + GOOD),
        right=_hook(GOOD),
    ),
    Entry(
        "CH503",
        "hook-not-found",
        ERROR,
        "module has no such function",
        "The module was found and has no function of that name.",
        wrong=_hook(GOOD, "chat:helo"),
        right=_hook(GOOD),
    ),
    Entry(
        "CH504",
        "hook-signature",
        ERROR,
        "hook can't be called with what it gets",
        "A message's hook gets `(ctx, message)`; `connect` gets `(ctx)`, `close` `(ctx, code, reason)`, `subscribe` and "
        "`unsubscribe` `(ctx, room)`, an authenticator `(request)`, the lifespan `(server)`.",
        wrong=_hook("def hello(ctx): return None"),
        right=_hook(GOOD),
    ),
    Entry(
        "CH505",
        "hook-not-callable",
        ERROR,
        "hook is no function",
        "The name leads to a value that can't be called.",
        wrong=_hook("hello = 1"),
        right=_hook(GOOD),
    ),
    Entry(
        "CH506",
        "hook-blocks",
        WARNING,
        "hook calls what stops the whole server while it waits",
        "Hooks run on the server's own thread. A call that waits there holds up every connection: await something "
        "instead, or let the hook run in a thread with `hook: {call: …, thread: true}`.",
        wrong=_hook("import time|def hello(ctx, message): time.sleep(1)"),
        right=_hook("import trio|async def hello(ctx, message): await trio.sleep(1)"),
    ),
    Entry(
        "CH507",
        "hook-generates",
        ERROR,
        "hook is of a kind that can't be called like this",
        "A generator does nothing when it is called. The lifespan, on the other hand, must be an async context manager: "
        "`@contextlib.asynccontextmanager` above an `async def` that yields once.",
        wrong=_hook("def hello(ctx, message): yield"),
        right=_hook(GOOD),
    ),
    Entry(
        "CH508",
        "hook-unused",
        INFO,
        "function looks like a hook, but nothing uses it",
        "A public function takes exactly what a hook takes, and neither the configuration nor its module names it.",
        wrong=_hook(GOOD + "|def bye(ctx, message): return None"),
        right=_hook(GOOD + "|def _bye(ctx, message): return None"),
    ),
    Entry(
        "CH509",
        "hook-thread-async",
        WARNING,
        "async hook can't run in a thread",
        "`thread: true` is for functions that block. An async one waits without blocking, on the server's own thread.",
        wrong=_hook(
            "async def hello(ctx, message): return None", "{call: chat:hello, thread: true}"
        ),
        right=_hook(GOOD, "{call: chat:hello, thread: true}"),
    ),
    Entry(
        "CH510",
        "hook-await-missing",
        WARNING,
        "verb of an async hook is not awaited",
        "In an `async def` the verbs of `ctx` are coroutines: without `await` nothing happens.",
        wrong=_hook("async def hello(ctx, message): ctx.send({})"),
        right=_hook("async def hello(ctx, message): await ctx.send({})"),
    ),
    Entry(
        "CH511",
        "hook-needs-async",
        ERROR,
        "sync hook uses a verb that only async ones have",
        "`presence`, `online` and `history` may have to wait for the broker, so only an `async def` has them.",
        wrong=_hook("def hello(ctx, message): ctx.online('ann')"),
        right=_hook("async def hello(ctx, message): await ctx.online('ann')"),
    ),
)
