"""CH0xx: YAML; with what reading finds beyond it: the environment and included files (CH112 to CH117)."""

from channeld.diagnostics.catalogue.entry import Entry
from channeld.diagnostics.diagnostic import Severity

__all__ = ["ENTRIES"]

_LOBBY = """\
channeld: 1
channels:
  lobby:
    path: /chat
    description: One room for all.
    auth: none
    rooms: lobby
    messages:
      say: {schema: true, route: room}
"""
_INCLUDED = """\
# rooms.yaml: included by channels.yaml
channels:
  annex:
    path: /annex
    description: One more room.
    auth: none
    rooms: annex
    messages:
      say: {schema: true, route: room}
"""


def _channel(line: str) -> str:
    """A small whole file with one more line in its channel, or another description."""
    if line.startswith("description"):
        return _LOBBY.replace("description: One room for all.", line)
    return _LOBBY.replace("    rooms: lobby\n", f"    rooms: lobby\n    {line}\n")


def _top(line: str) -> str:
    """A small whole file with one more line at its top level."""
    return _LOBBY.replace("channels:", f"{line}\nchannels:", 1)


ENTRIES: tuple[Entry, ...] = (
    Entry(
        "CH001",
        "yaml-syntax",
        Severity.ERROR,
        "the file is not YAML",
        "The text could not be read as YAML, so nothing else in it was checked. The place shown is where reading "
        "stopped; the slip is there or just above it. The usual ones are a line that is indented differently from its "
        "neighbours, a missing `:`, an open bracket or quote, and a text that should be in quotes because it holds `: `, "
        "`{`, `*` or `@`. Patterns are best written in single quotes, where `\\` is an ordinary character.",
        _channel("description: Chat: for everyone"),
        _channel('description: "Chat: for everyone"'),
    ),
    Entry(
        "CH002",
        "yaml-tab",
        Severity.ERROR,
        "a tab is used for indentation",
        "YAML allows only spaces for indentation, because editors do not agree on how wide a tab is. Replace the tab "
        "with spaces; most editors can be told to do so for `.yaml` files.",
        _LOBBY.replace("    path", "\tpath"),
        _LOBBY,
    ),
    Entry(
        "CH003",
        "yaml-multi-document",
        Severity.ERROR,
        "more than one document in the file",
        "A line `---` begins another YAML document. A configuration is one document, and only the first one was read. "
        "Remove the line, or move what follows it into a file of its own and name that in `include`.",
        f"{_LOBBY}---\n{_LOBBY}",
        f"---\n{_LOBBY}",
    ),
    Entry(
        "CH004",
        "duplicate-key",
        Severity.ERROR,
        "a key is set twice",
        "A mapping can hold a key once. Most YAML readers silently keep the last one, so that a setting high up in the "
        "file does nothing; channeld shows both places instead. Keep one of them. A key that a merge (`<<`) brings does "
        "not count: your own key wins over it.",
        _channel("path: /lobby"),
        _LOBBY,
    ),
    Entry(
        "CH005",
        "yaml11-value",
        Severity.WARNING,
        "a value that YAML 1.1 and 1.2 read differently",
        "channeld reads YAML 1.2, in which only `true` and `false` are booleans, `010` is ten, and `12:30` or "
        "`2026-01-01` are texts. Many tools still read YAML 1.1, in which `yes`, `no`, `on` and `off` are booleans, `010` "
        "is eight, `12:30` is 750 and a date is a date. Quote the value if it is a text, and write `true` or `false` if "
        "it is a boolean: then everyone reads the same.",
        _channel("description: off"),
        _channel('description: "off"'),
    ),
    Entry(
        "CH006",
        "yaml-tag",
        Severity.ERROR,
        "a tag is not allowed",
        "A tag such as `!env` or `!!python/name:os.system` asks the reader to make something other than a plain value. "
        "channeld makes plain values only: texts, numbers, booleans, null, lists and mappings. Remove the tag. Values "
        "from the environment are written `${NAME}`; secrets in files `{file: PATH}`.",
        _channel("description: !env CHAT_DESCRIPTION"),
        _channel("description: One chat room."),
    ),
    Entry(
        "CH007",
        "yaml-alias",
        Severity.ERROR,
        "an alias repeats nothing",
        "`*name` repeats the value that is marked `&name` earlier in the same file. Here there is no such mark before it, "
        "or the alias stands within the very value that it repeats. A text that begins with `*`, such as a pattern for "
        "rooms, must be quoted.",
        _LOBBY.replace("rooms: lobby", "rooms: {join: lobby, subscribe: {allow: [*-news]}}"),
        _LOBBY.replace("rooms: lobby", 'rooms: {join: lobby, subscribe: {allow: ["*-news"]}}'),
    ),
    Entry(
        "CH008",
        "yaml-key",
        Severity.ERROR,
        "a key is a list or a mapping, or a merge has nothing to merge",
        "Keys are texts here (a number or a boolean counts as its text). YAML would also allow lists and mappings as "
        "keys, which nothing in channeld has a use for; mostly it is a brace too many. The merge key `<<` takes a mapping "
        "or a list of mappings, usually aliases such as `<<: *defaults`.",
        _channel("<<: defaults"),
        _top("x-defaults: &defaults {history: {size: 100, ttl: 1h}}").replace(
            "    path: /chat", "    <<: *defaults\n    path: /chat"
        ),
    ),
    Entry(
        "CH009",
        "yaml-too-large",
        Severity.ERROR,
        "the file is too large",
        "A file may have 2 MiB and 200,000 values, with every alias written out. The second limit stops the "
        '"billion laughs", a small file of aliases to aliases that would fill the memory. A real configuration that '
        "grows this large is easier to keep in several files, with `include` and with schemas in files of their own.",
        "x-0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha]\n"
        + "".join(f"x-{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 6))
        + _LOBBY,
        _LOBBY,
    ),
    Entry(
        "CH010",
        "yaml-too-deep",
        Severity.ERROR,
        "the file is nested too deep",
        "Lists and mappings may be nested 64 levels deep. No configuration comes near that; a generated schema may. Give "
        "the inner parts names under `schemas` or `$defs`, and reach them by `$ref`.",
        _top(f"x-deep: {'[' * 64}{']' * 64}"),
        _top(f"x-deep: {'[' * 63}{']' * 63}"),
    ),
    Entry(
        "CH011",
        "yaml-not-utf8",
        Severity.ERROR,
        "the file is not UTF-8 text",
        "A configuration is UTF-8, with or without a byte order mark, and holds no control characters but tabs and line "
        "breaks. Save the file as UTF-8 in your editor. A control character that is meant can be written as an escape in "
        'double quotes, such as `"\\x07"`.',
        _channel('description: "ring \x07 the bell"'),
        _channel('description: "ring \\x07 the bell"'),
    ),
    Entry(
        "CH012",
        "yaml-empty",
        Severity.ERROR,
        "the file has no content",
        "The file is empty, or holds only comments. A configuration needs at least `channeld: 1` and one channel; "
        "`channeld init` writes a working one to begin with.",
        "# nothing yet\n",
        _LOBBY,
    ),
    Entry(
        "CH013",
        "template-not-quoted",
        Severity.ERROR,
        "a template without quotes is a mapping",
        "Braces begin a mapping in YAML, so `{params.room}` without quotes is not a text but a mapping with the key "
        '`params.room` and no value. Quote it: `"{params.room}"`. The rest of the file was checked as if it were quoted.',
        _LOBBY.replace("/chat", "/chat/{room}").replace("rooms: lobby", "rooms: {params.room}"),
        _LOBBY.replace("/chat", "/chat/{room}").replace("rooms: lobby", 'rooms: "{params.room}"'),
    ),
    Entry(
        "CH014",
        "number-not-finite",
        Severity.ERROR,
        "a number is infinite or no number",
        "YAML knows `.inf` and `.nan`, and a number such as `1e999` is too large for any computer. JSON has no way to "
        "write them, so no frame could hold them and no limit can be set to them. Where a limit should not apply, leave "
        "it out.",
        _top("x-limit: .inf"),
        _top("x-limit: 1e300"),
    ),
    Entry(
        "CH090",
        "ignore-unused",
        Severity.WARNING,
        "a comment ignores a finding that is not there",
        "`# channeld: ignore[CH005] reason` silences one code on its line, or on the next line if it has a line to "
        "itself. This one silences nothing: the problem was mended, it stands on another line, or the code is misspelt. "
        "Remove it, so that it does not hide the next problem on that line.",
        _channel("description: A room # channeld: ignore[CH005] a word"),
        _channel("description: off # channeld: ignore[CH005] a word"),
    ),
    Entry(
        "CH091",
        "ignore-of-error",
        Severity.WARNING,
        "an error can't be ignored",
        "Comments of the form `# channeld: ignore[…]` silence warnings. An error means that the server could not do what "
        "the file says, so silencing it would help nobody. Mend the error, and remove the comment. (The example has "
        "the error, too.)",
        _channel("path: /lobby # channeld: ignore[CH004] later"),
        _LOBBY,
    ),
    Entry(
        "CH112",
        "environment-reference",
        Severity.ERROR,
        "a reference to the environment is malformed",
        "In values under `server`, `auth`, `broker`, `api`, `log` and `webhooks`, `${NAME}` stands for an environment "
        "variable, and `${NAME:-default}` for one with a default, which is used when the variable is unset or empty. "
        "Names are letters, digits and `_`; a default holds no further reference and no `}`. A `$` that is just a "
        "dollar before a brace is written `$$`.",
        _top("server: {bind: '${BIND'}"),
        _top("server: {bind: '${BIND:-127.0.0.1:4000}'}"),
    ),
    Entry(
        "CH113",
        "environment-unset",
        Severity.WARNING,
        "an environment variable is not set",
        "The file refers to a variable that is not set here and has no default. `channeld validate` only warns, since "
        "the machine that checks a file seldom has the secrets of the one that runs it, and checks the rest as if the "
        "value were right. `channeld run` refuses to start. Set the variable, or write a default: `${NAME:-default}`.",
        _top("server: {bind: '${CHANNELD_EXAMPLE_UNSET}'}"),
        _top("server: {bind: '${CHANNELD_EXAMPLE_UNSET:-127.0.0.1:4000}'}"),
    ),
    Entry(
        "CH114",
        "include-not-found",
        Severity.ERROR,
        "an include leads nowhere",
        "Each entry of `include` is a file or a pattern such as `channels/*.yaml`, relative to the file that it stands "
        "in. This one matches no file but perhaps the file itself. Included files can't include others: one list in the "
        "main file shows all that belongs to a configuration.",
        _top("include: [no-such-folder/*.yaml]"),
        _LOBBY,
    ),
    Entry(
        "CH115",
        "include-key",
        Severity.ERROR,
        "an included file holds what only the main file can",
        "An included file may hold `auth` and `channels`, each a mapping of names, and keys that start with `x-`. All "
        "else is about the server as a whole and stands in the main file, so that nobody has to search for it.",
        _INCLUDED.replace("channels:", "log: {level: debug}\nchannels:"),
        _INCLUDED,
    ),
    Entry(
        "CH116",
        "include-duplicate",
        Severity.ERROR,
        "a name is defined in two files",
        "Names of channels and authenticators are unique over the main file and all that it includes: nothing overrides "
        "anything, whatever the order of the files. Rename one of the two. (The example stands beside a main file that "
        "has a channel `lobby`.)",
        _INCLUDED.replace("annex:", "lobby:"),
        _INCLUDED,
    ),
    Entry(
        "CH117",
        "file-unreadable",
        Severity.ERROR,
        "a file can't be read",
        "The file does not exist, is a folder, or may not be read by this user. Paths are relative to the file that "
        "names them. What an unreadable file defines is unknown, so nothing further was checked. (The example is "
        "about a file that exists.)",
        "# secret.yaml: not readable\n" + _top("include: [secret.yaml]"),
        _LOBBY,
    ),
)
