"""Parses YAML 1.2 into a tree of values: a composer over libyaml's events that collects findings and continues.

`yaml.compose` is not used: with the C loader it crashes the process on deep nesting, silently keeps the last of duplicate
keys, and gives an alias the location of its anchor. Events are safe, and their marks count code points. Lines and columns
are computed here, because libyaml counts U+2028 as a line break and editors don't.
"""

import math
import re
from collections.abc import Iterator
from typing import Protocol

import attrs
import yaml

from channeld.config.letters import Rewritten, boolean_word, readable, resolve, yaml11_reading
from channeld.config.syntax import syntax_error
from channeld.config.tree import (
    Lines,
    ListNode,
    MapNode,
    Node,
    ScalarNode,
    Style,
    Tree,
    TreeEntry,
    build,
)
from channeld.diagnostics.catalogue import diagnose
from channeld.diagnostics.diagnostic import Diagnostic, Related, Report
from channeld.pointer import at
from channeld.protocol.frames import Json

MAX_NODES = 200_000
MAX_DEPTH = 64

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STYLES: dict[str | None, Style] = {"'": "single", '"': "double", "|": "literal", ">": "folded"}
_DATES = re.compile(r"/deprecated/(?:since|sunset)$|^/diff/accept/[0-9]+/until$")
_NAMES = re.compile(r"/required/[0-9]+$")
_LETTERS = frozenset("yYnN")
_ROOMS = re.compile(r"^/channels/[^/]+/rooms(?:/join|/subscribe/allow)?(?:/[0-9]+)?$")
_CORE_TAG = "tag:yaml.org,2002:"
_TAG_TYPES: dict[str, type] = {"int": int, "float": float, "bool": bool, "null": type(None)}
_TEMPLATE = re.compile(
    r"(?:message|event|params|query|user|claims|connection|room|now|now_ms|uuid|[A-Za-z_]\w*\.[\w.-]+)\??"
)
_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")
_ENVIRONMENT = re.compile(r"(?i)env|secret|sub|ref|var")
_TAG = re.compile(r"(?:&\S+\s+)?(![^\s,\[\]{}]*)")


def parse(text: bytes | str, file: str, report: Report) -> Tree | None:
    """Parse one document, adding errors to `report`; None if there is no value to continue with."""
    lines = readable(text, file, report)
    return None if lines is None else _Composer(lines, report).tree()


def name_of_tag(tag: str) -> str:
    """The name of a core tag, such as `int`; empty for other tags."""
    return tag.removeprefix(_CORE_TAG) if tag.startswith(_CORE_TAG) else ""


class _Mark(Protocol):
    @property
    def index(self) -> int:
        """The number of code points before this mark."""


class _Stop(Exception):
    """A limit was exceeded, which is reported."""


@attrs.frozen(slots=True)
class YamlKey:
    """A key as text, its range, and whether it is `<<` or an unquoted template."""

    text: str
    start: int
    end: int
    merges: bool = False
    template: bool = False


@attrs.define(eq=False)
class Fields:
    """A mapping while it is parsed: its own keys, what `<<` brings and where, and the last key."""

    own: dict[str, TreeEntry] = attrs.field(factory=dict)
    merged: dict[str, TreeEntry] = attrs.field(factory=dict)
    merge: TreeEntry | None = None
    merge_at: int = 0
    last: YamlKey | None = None
    count: int = 0

    def entries(self) -> dict[str, TreeEntry]:
        """All keys in the file's order, merged ones at the place of `<<`; own ones win."""
        own = list(self.own.items())
        brought = [(key, entry) for key, entry in self.merged.items() if key not in self.own]
        return dict([*own[: self.merge_at], *brought, *own[self.merge_at :]])


@attrs.define(eq=False)
class _Composer:
    """Turns the events of one text into a tree; each method reads exactly one node's events."""

    lines: Lines
    report: Report
    source: Rewritten = attrs.field(init=False)
    events: Iterator[yaml.Event] = attrs.field(init=False)
    anchors: dict[str, Node | None] = attrs.field(factory=dict, init=False)
    spent: int = attrs.field(default=0, init=False)
    quoted: list[tuple[int, int]] = attrs.field(factory=list, init=False)
    dropped: list[tuple[str, Node]] = attrs.field(factory=list, init=False)
    found: list[Diagnostic] = attrs.field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self.source = Rewritten(self.lines.text)
        self.events = yaml.parse(self.source.text, Loader=_LOADER)

    def tree(self) -> Tree | None:
        """The whole document; None after a syntax error, for an empty file, or over a limit."""
        try:
            root = self._document()
        except yaml.MarkedYAMLError as problem:
            self._syntax_error(problem)
            return None
        except _Stop:
            self.report.extend(self.found)
            return None
        if root is None:
            self._add(
                "CH012",
                "the file is empty",
                (0, 0),
                help="`channeld init` creates one; remove an included file that is empty",
            )
        self.report.extend(self.found)
        if root is None:
            return None
        unknown: set[str] = set()

        def value(node: ScalarNode, pointer: str) -> Json:
            if node.broken:
                unknown.add(pointer)
            return node.value

        return Tree(
            file=self.lines.file,
            text=self.lines.text,
            value=build(root, "", value),
            root=root,
            lines=self.lines,
            unknown=frozenset(unknown),
            quoted=tuple(self.quoted),
            dropped=tuple(self.dropped),
        )

    def _syntax_error(self, problem: yaml.MarkedYAMLError) -> None:
        """Report a syntax error, without earlier findings that an unquoted template on the same line caused."""
        error = syntax_error(problem, self.lines, self.source.offset)
        line = error.place.line
        self.report.extend(d for d in self.found if (d.code, d.place.line) != ("CH013", line))
        self.report.add(error)

    def _document(self) -> Node | None:
        root: Node | None = None
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent) and root is not None:
                start = self._offset(event.start_mark)
                message = "more than one document in the file"
                help = "keep one document; `include:` adds further files"
                self._add("CH003", message, (start, start + 3), help=help)
                break
            if isinstance(event, yaml.NodeEvent):
                root = self._node(event, "", 1)
        if isinstance(root, ScalarNode) and (root.style, root.raw) == ("plain", ""):
            return None
        return root

    def _node(self, event: yaml.Event, pointer: str, depth: int) -> Node:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, pointer, depth)
        self._spend(1, event)
        anchor = getattr(event, "anchor", None)
        if anchor:
            self.anchors[anchor] = None
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event, pointer)
        else:
            self._check_depth(depth, event)
            self._check_tag(event, pointer)
            if isinstance(event, yaml.SequenceStartEvent):
                node = self._list(event, pointer, depth)
            else:
                node = self._mapping(event, pointer, depth)
        if anchor:
            self.anchors[anchor] = node
        return node

    def _alias(self, event: yaml.AliasEvent, pointer: str, depth: int) -> Node:
        start, end = self._span(event)
        target = self.anchors.get(event.anchor or "")
        if target is not None:
            self._spend(target.size, event)
            self._check_depth(depth - 1 + target.height, event)
            return attrs.evolve(target, start=start, end=end)
        if event.anchor in self.anchors:
            message = f"`*{event.anchor}` refers to itself"
            help = "a value cannot contain itself: write it out"
        else:
            message = f"`*{event.anchor}` has no anchor"
            help = (
                f"write `&{event.anchor}` before the value it repeats; quote it if it is a string"
            )
        self._add("CH007", message, (start, end), pointer, help=help)
        raw = self.lines.text[start:end]
        return ScalarNode(start=start, end=end, style="plain", raw=raw, value=None, broken=True)

    def _scalar(self, event: yaml.ScalarEvent, pointer: str) -> ScalarNode:
        style = _STYLES.get(event.style, "plain")
        start, end = self._span(event)
        if style != "plain":
            self.quoted.append((start, end))
        if style in ("literal", "folded"):
            end = start + len(self.lines.text[start:end].rstrip())
        start = self._content(start, end)
        value: Json = event.value
        broken = False
        if event.tag not in (None, "!"):
            value = self._tagged(event, pointer)
            broken = value is None and name_of_tag(event.tag) != "null"
        elif style == "plain" and event.tag is None:
            value = resolve(event.value)
            self._check_yaml11(event.value, (start, end), pointer)
        if isinstance(value, float) and not math.isfinite(value):
            message = f"`{event.value}` is not a finite number"
            self._add("CH014", message, (start, end), pointer, help="JSON cannot represent it")
            value, broken = event.value, True
        return ScalarNode(
            start=start, end=end, style=style, raw=event.value, value=value, broken=broken
        )

    def _content(self, start: int, end: int) -> int:
        """Where a scalar begins, after its anchor and tag."""
        properties = _PROPERTIES.match(self.lines.text, start, end)
        return properties.end() if properties else start

    def _tagged(self, event: yaml.ScalarEvent, pointer: str) -> Json:
        """The value of a tagged scalar; CH006 if the tag is unknown or does not fit."""
        name = name_of_tag(event.tag or "")
        if name == "str":
            return str(event.value)
        value = resolve(event.value)
        if name in _TAG_TYPES and type(value) is _TAG_TYPES[name]:
            return value
        if name == "float" and type(value) is int and len(event.value) < 300:
            return float(value)
        self._bad_tag(event, pointer)
        return None

    def _list(self, event: yaml.SequenceStartEvent, pointer: str, depth: int) -> ListNode:
        start, end = self._span(event)
        before = self.spent - 1
        items: list[Node] = []
        while not isinstance(inner := next(self.events), yaml.SequenceEndEvent):
            items.append(self._node(inner, at(pointer, len(items)), depth + 1))
            end = items[-1].end
        if event.flow_style:
            end = self._offset(inner.end_mark)
        height = 1 + max((item.height for item in items), default=0)
        size = self.spent - before
        return ListNode(start=start, end=end, items=items, size=size, height=height)

    def _mapping(self, event: yaml.Event, pointer: str, depth: int) -> Node:
        start, end = self._span(event)
        before = self.spent - 1
        fields = Fields()
        while not isinstance(inner := next(self.events), yaml.MappingEndEvent):
            fields.count += 1
            fields.last = self._key(inner, pointer, depth)
            end = self._entry(fields, pointer, depth)
        if getattr(event, "flow_style", False):
            end = self._offset(inner.end_mark)
            if fields.count == 1 and fields.last is not None:
                template = self._template(fields.last, start, end, pointer)
                if template is not None:
                    return template
        if fields.count == 1 and fields.last is None:
            raw = self.lines.text[start:end]
            return ScalarNode(start=start, end=end, style="plain", raw=raw, value=None, broken=True)
        entries = fields.entries()
        height = 1 + max((entry.node.height for entry in entries.values()), default=0)
        size = self.spent - before
        return MapNode(start=start, end=end, entries=entries, size=size, height=height)

    def _entry(self, fields: Fields, pointer: str, depth: int) -> int:
        """Parse the value of the last key; returns where it ends."""
        key = fields.last
        below = pointer if key is None else at(pointer, key.text)
        node = self._node(next(self.events), below, depth + 1)
        if key is None:
            return node.end
        entry = TreeEntry(start=key.start, end=key.end, node=node)
        first = fields.merge if key.merges else fields.own.get(key.text)
        if first is not None:
            self.dropped.append((below, node))
            message = f"`{_short(key.text)}` is set twice"
            there = Related(
                place=self.lines.place(first.start, first.end, below), message="first set here"
            )
            place = self.lines.place(key.start, key.end, below)
            help = "keep one of them"
            self.found.append(diagnose("CH004", message, place, help=help, related=(there,)))
        elif key.merges:
            fields.merge, fields.merge_at = entry, len(fields.own)
            fields.merged = self._merged(node, below)
        else:
            fields.own[key.text] = entry
        return max(node.end, key.end)

    def _key(self, event: yaml.Event, pointer: str, depth: int) -> YamlKey | None:
        """The text of a key, whatever its type (`200` is "200"); None (CH008) for a list or mapping."""
        start, end = self._span(event)
        if isinstance(event, yaml.ScalarEvent):
            self._spend(1, event)
            style = _STYLES.get(event.style, "plain")
            if style != "plain":
                self.quoted.append((start, end))
            if event.tag not in (None, "!", f"{_CORE_TAG}str"):
                self._bad_tag(event, pointer)
            if event.anchor:
                self.anchors[event.anchor] = ScalarNode(
                    start=start, end=end, style=style, raw=event.value, value=event.value
                )
            return YamlKey(event.value, start, end, merges=style == "plain" and event.value == "<<")
        node = self._node(event, pointer, depth + 1)
        if isinstance(node, ScalarNode):
            template = node.raw.startswith("{")
            return YamlKey(node.raw, start, node.end, template=template)
        message = "a key must be a string, not a list or a mapping"
        help = "quote it, or write `key: value`"
        self._add("CH008", message, (start, node.end), pointer, help=help)
        return None

    def _merged(self, node: Node, pointer: str) -> dict[str, TreeEntry]:
        """What `<<` brings; with a list, the first mapping that has a key wins (as the merge key type says)."""
        sources = node.items if isinstance(node, ListNode) else [node]
        merged: dict[str, TreeEntry] = {}
        for source in sources:
            if isinstance(source, MapNode):
                merged = {**source.entries, **merged}
            elif not (isinstance(source, ScalarNode) and source.broken):
                message = "`<<` merges a mapping, or a list of mappings"
                help = "write an alias for a mapping, such as `<<: *defaults`"
                self._add("CH008", message, (source.start, source.end), pointer, help=help)
        return merged

    def _template(self, key: YamlKey, start: int, end: int, pointer: str) -> ScalarNode | None:
        """The template that an unquoted `{params.x}` was meant to be, or None if it is just a mapping."""
        if ":" in self.lines.text[key.end : end] or not (
            key.template or _TEMPLATE.fullmatch(key.text)
        ):
            return None
        text = f"{{{key.text}}}"
        if not key.template:
            message = f"`{_short(text)}` without quotes is a mapping, not a template"
            help = f'quote it: `"{_short(text)}"`'
            self._add("CH013", message, (start, end), pointer, help=help)
        return ScalarNode(start=start, end=end, style="plain", raw=text, value=text)

    def _check_tag(self, event: yaml.Event, pointer: str) -> None:
        fits = "seq" if isinstance(event, yaml.SequenceStartEvent) else "map"
        if getattr(event, "tag", None) not in (None, "!", _CORE_TAG + fits):
            self._bad_tag(event, pointer)

    def _bad_tag(self, event: yaml.Event, pointer: str) -> None:
        start = self._offset(event.start_mark)
        written = _TAG.match(self.lines.text, start)
        below, name = (written.start(1), written[1]) if written else (start, "!")
        help = "remove it: the type of a value follows from how it is written"
        if _ENVIRONMENT.search(name):
            help = "write `${NAME}` for a variable of the environment"
        message = f"tag `{_short(name)}` is not allowed here"
        self._add("CH006", message, (below, below + len(name)), pointer, help=help)

    def _check_yaml11(self, raw: str, span: tuple[int, int], pointer: str) -> None:
        meaning = yaml11_reading(raw)
        is_of_rooms = _ROOMS.search(pointer) is not None
        if meaning is None and raw in _LETTERS and is_of_rooms and not pointer[-1].isdigit():
            # `y` and `n` are booleans in YAML 1.1, although few parsers read them so; in a list they are names.
            meaning = f"`{boolean_word(raw)}`"
        # Where the language expects a date, every parser reads it as one; a schema requires names, as its keys are.
        expected = _DATES if meaning == "a date" else _NAMES
        if meaning is None or expected.search(pointer):
            return
        value = resolve(raw)
        now = "a string" if isinstance(value, str) else f"the number {value}"
        message = f"`{_short(raw)}` is {now} here, but {meaning} in YAML 1.1"
        help = "quote it, so that every tool reads the same"
        if is_of_rooms and meaning in ("`true`", "`false`"):
            message = f"`{raw}` is the name of a room here, not {meaning}"
            help = "for no rooms remove the key, for a room of this name quote it"
        elif meaning in ("`true`", "`false`"):
            help = f"write {meaning}, or quote it"
        elif not isinstance(value, str):
            help = "drop the leading zero, or write `0o` before an octal number"
        self._add("CH005", message, span, pointer, help=help)

    def _check_depth(self, depth: int, event: yaml.Event) -> None:
        if depth > MAX_DEPTH:
            message = f"nested deeper than {MAX_DEPTH} levels"
            self._add("CH010", message, self._span(event), help="flatten the structure")
            raise _Stop

    def _spend(self, size: int, event: yaml.Event) -> None:
        self.spent += size
        if self.spent > MAX_NODES:
            message = f"the file contains more than {MAX_NODES} values, with aliases expanded"
            help = "use fewer aliases, or split the file with `include:`"
            self._add("CH009", message, self._span(event), help=help)
            raise _Stop

    def _add(
        self, code: str, message: str, span: tuple[int, int], pointer: str = "", *, help: str = ""
    ) -> None:
        place = self.lines.place(*span, pointer)
        self.found.append(diagnose(code, message, place, help=help))

    def _span(self, event: yaml.Event) -> tuple[int, int]:
        return self._offset(event.start_mark), self._offset(event.end_mark)

    def _offset(self, mark: _Mark | None) -> int:
        index = mark.index if mark is not None else 0
        return min(self.source.offset(index), len(self.lines.text))


def _short(text: str) -> str:
    """A text of the file for a message: one line, not too long."""
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:57]}..."
