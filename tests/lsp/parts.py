"""Projects for tests: documents in a folder, a caret that the text shows as `|`."""

from pathlib import Path

from channeld.lsp.buffers import Buffer, Caret
from channeld.lsp.checking import whole
from channeld.lsp.projects import Projects

CHAT = """\
channeld: 1
auth:
  session:
    type: jwt
    algorithms: [HS256]
    secret: {file: secret.txt}
    audience: chat
    claims:
      type: object
      required: [name]
      properties: {name: {type: string, maxLength: 80}, role: {enum: [member, admin]}}
channels:
  room:
    path: /rooms/{room_id}
    description: A room.
    params: {room_id: {type: string, pattern: "^[a-z]{1,64}$"}}
    auth: session
    rooms: "{params.room_id}"
    hooks: {connect: "hooks:welcome"}
    messages:
      say:
        schema:
          type: object
          required: [text]
          properties: {text: {type: string, maxLength: 200}, tone: {type: string, maxLength: 20}}
          additionalProperties: false
        route: room
        hook: hooks:no_shouting
        emit: {type: said, text: "{message.text}", from: "{user.id}"}
    events:
      said:
        schema: {type: object, additionalProperties: false, properties: {text: {}, from: {}}}
  lobby:
    path: /lobby
    description: A lobby.
    auth: none
    rooms: lobby
    events:
      news: {schema: schemas/news.json}
"""
NEWS = """\
{
  "type": "object",
  "required": ["text"],
  "properties": {"text": {"type": "string"}},
  "additionalProperties": false
}
"""
HOOKS = '''\
"""Hooks."""

raise RuntimeError("a language server imports no hooks")


def welcome(ctx):
    pass


def no_shouting(ctx, message):
    pass
'''
SCENARIOS = """\
scenarios:
  - name: what is said is heard
    clients:
      ann: {path: /rooms/a, user: ann, claims: {name: Ann}}
      eve: {path: /lobby}
    steps:
      - ann: {send: {type: say, text: hi}}
      - ann: {expect: {type: said, text: hi}}
      - publish: {channel: lobby, event: {type: news, text: said}}
      - eve: {expect: {type: news}}
"""


def write(folder: Path) -> Path:
    """The chat with its schema, hooks and scenarios; the configuration's path."""
    (folder / "schemas").mkdir()
    (folder / "schemas/news.json").write_text(NEWS)
    (folder / "hooks.py").write_text(HOOKS)
    (folder / "secret.txt").write_text("x" * 40)
    (folder / "chat.test.yaml").write_text(SCENARIOS)
    (folder / "channels.yaml").write_text(CHAT)
    return folder / "channels.yaml"


def opened(path: Path, text: str | None = None) -> tuple[Projects, str]:
    """A document open and checked as a whole, and its name."""
    projects = Projects()
    text = path.read_text() if text is None else text
    name = projects.open(path.as_uri(), Buffer.of(text))
    projects.settle(name, whole(name, projects.texts))
    return projects, name


def marked(text: str) -> tuple[str, Caret]:
    """A text without its first `|`, and where that stood."""
    at = text.index("|")
    return text[:at] + text[at + 1 :], Caret(
        text.count("\n", 0, at), at - text.rfind("\n", 0, at) - 1
    )


def at_mark(path: Path, old: str, new: str) -> tuple[Projects, str, Caret]:
    """The document with `new`, which holds a caret, in place of the one `old`."""
    text = path.read_text()
    assert text.count(old) == 1, (text.count(old), old)
    changed, caret = marked(text.replace(old, new))
    projects, name = opened(path)
    projects.replace(name, changed, 2)
    projects.quick(name)
    return projects, name, caret


def after(text: str, words: str) -> Caret:
    """The caret right behind some words that a text has once."""
    assert text.count(words) == 1, words
    return marked(text.replace(words, words + "|"))[1]
