"""CH2xx: JSON Schemas."""

import textwrap

from channeld.diagnostics.catalogue.entry import Entry
from channeld.diagnostics.diagnostic import Severity

__all__ = ["ENTRIES"]

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO


def _message(schema: str, *, then: str = "", head: str = "") -> str:
    """A whole file whose one message type has this schema; `then` follows it, `head` stands at the top level."""
    route = "" if "route:" in then else "        route: sender\n"
    return (
        "channeld: 1\n"
        + textwrap.dedent(head)
        + "channels:\n  room:\n    path: /rooms/{room_id}\n    description: One room.\n    auth: none\n"
        + '    rooms: "{params.room_id}"\n    messages:\n      say:\n        schema:\n'
        + textwrap.indent(textwrap.dedent(schema), " " * 10)
        + textwrap.indent(textwrap.dedent(then), " " * 8)
        + route
    )


ENTRIES: tuple[Entry, ...] = (
    Entry(
        code="CH201",
        name="schema-invalid",
        severity=ERROR,
        title="not a valid JSON Schema",
        explanation=(
            "A keyword has a value that JSON Schema 2020-12 does not allow there, such as a type that does not exist or"
            " a negative length. Validators disagree about what such a schema means, so it is refused."
        ),
        wrong=_message("type: object\nproperties: {text: {type: strin}}\n"),
        right=_message("type: object\nproperties: {text: {type: string}}\n"),
    ),
    Entry(
        code="CH202",
        name="schema-unknown-keyword",
        severity=ERROR,
        title="probably a misspelt JSON Schema keyword",
        explanation=(
            "JSON Schema ignores keywords that it does not know, so a slip in one is never noticed: the check it stands"
            " for is simply not made. A keyword that is close to a real one is taken for a slip. Notes of your own"
            " start with `x-`."
        ),
        wrong=_message("type: object\nrequried: [text]\nproperties: {text: {type: string}}\n"),
        right=_message("type: object\nrequired: [text]\nproperties: {text: {type: string}}\n"),
    ),
    Entry(
        code="CH203",
        name="ref-not-found",
        severity=ERROR,
        title="a reference leads nowhere",
        explanation=(
            "`#/schemas/NAME` is one of the schemas under the top-level `schemas`; any other `#/…` is a pointer into the"
            " schema, or the file, in which the reference stands; `path.json#/…` is a file beside that file."
        ),
        wrong=_message(
            'properties: {text: {$ref: "#/schemas/lin"}}\n',
            head="schemas: {line: {type: string, maxLength: 80}}\n",
        ),
        right=_message(
            'properties: {text: {$ref: "#/schemas/line"}}\n',
            head="schemas: {line: {type: string, maxLength: 80}}\n",
        ),
    ),
    Entry(
        code="CH204",
        name="ref-remote",
        severity=ERROR,
        title="a reference to another host",
        explanation=(
            "Nothing is fetched to validate a message: what a server accepts must not hang on another server. Save the"
            " schema beside the configuration, or put it under `schemas`."
        ),
        wrong=_message('properties: {at: {$ref: "https://example.com/schemas/point.json"}}\n'),
        right=_message(
            'properties: {at: {$ref: "#/schemas/point"}}\n',
            head="schemas: {point: {type: object, properties: {x: {type: number}}}}\n",
        ),
    ),
    Entry(
        code="CH205",
        name="dialect-unsupported",
        severity=ERROR,
        title="a dialect of JSON Schema other than 2020-12",
        explanation=(
            "The same keyword means different things in different drafts, so a schema is read in one dialect only:"
            " 2020-12. Leave `$schema` out, or write that dialect, and bring the schema up to date."
        ),
        wrong=_message('$schema: "http://json-schema.org/draft-07/schema#"\ntype: object\n'),
        right=_message('$schema: "https://json-schema.org/draft/2020-12/schema"\ntype: object\n'),
    ),
    Entry(
        code="CH206",
        name="draft-mixup",
        severity=ERROR,
        title="a keyword from an older draft of JSON Schema",
        explanation=(
            "In 2020-12 a list of schemas for the first items is `prefixItems`, shared schemas are `$defs`, and"
            " `dependencies` became `dependentRequired` and `dependentSchemas`. The old spelling would be ignored."
        ),
        wrong=_message(
            "properties: {at: {type: array, items: [{type: number}, {type: number}]}}\n"
        ),
        right=_message(
            "properties: {at: {type: array, prefixItems: [{type: number}, {type: number}]}}\n"
        ),
    ),
    Entry(
        code="CH207",
        name="schema-open",
        severity=WARNING,
        title="a message passes fields on that its schema does not name",
        explanation=(
            "A message that is routed to others goes out as it came in. Where its schema leaves"
            " `additionalProperties` out, a client can send the others fields that nobody has checked. Close the"
            " schema, or `emit` the fields that may pass. `additionalProperties: true` says that it is meant."
        ),
        wrong=_message("type: object\nproperties: {text: {type: string}}\n", then="route: room\n"),
        right=_message(
            "type: object\nproperties: {text: {type: string}}\nadditionalProperties: false\n",
            then="route: room\n",
        ),
    ),
    Entry(
        code="CH208",
        name="required-not-in-properties",
        severity=WARNING,
        title="`required` names a property that is not declared",
        explanation=(
            "The property must be there, but nothing is said of its value. Mostly the name is misspelt in one of the"
            " two places, and then no client that follows `properties` can send a valid message."
        ),
        wrong=_message("type: object\nrequired: [txt]\nproperties: {text: {type: string}}\n"),
        right=_message("type: object\nrequired: [text]\nproperties: {text: {type: string}}\n"),
    ),
    Entry(
        code="CH209",
        name="schema-unsatisfiable",
        severity=ERROR,
        title="a schema that no value can satisfy",
        explanation=(
            "Two keywords contradict each other, so every message would be refused: a lower bound above the upper one,"
            " constants of another type than `type`, a required property that is forbidden."
        ),
        wrong=_message("properties: {text: {type: string, minLength: 10, maxLength: 5}}\n"),
        right=_message("properties: {text: {type: string, minLength: 5, maxLength: 10}}\n"),
    ),
    Entry(
        code="CH210",
        name="pattern-invalid",
        severity=ERROR,
        title="a pattern that can't be matched in linear time",
        explanation=(
            "Patterns are ECMA 262 regular expressions, matched by an engine whose time grows with the length of the"
            " text and nothing else: a client can't choose a text that keeps the server busy. Look-around and"
            " back-references can't be matched so, and are refused. Mostly two plain patterns under `allOf`, or `not`"
            " around one, say the same."
        ),
        wrong=_message('properties: {name: {type: string, pattern: "^(?!admin)[a-z]+$"}}\n'),
        right=_message(
            'properties: {name: {type: string, pattern: "^[a-z]+$", not: {pattern: "^admin"}}}\n'
        ),
    ),
    Entry(
        code="CH211",
        name="string-unbounded",
        severity=INFO,
        title="a string of any length where messages may be large",
        explanation=(
            "The only bound on the string is `message_size`, which is above the default here. A message is kept in"
            " memory for everyone it is delivered to, and in the history; say how long the text may be."
        ),
        wrong=_message(
            "type: object\nproperties: {text: {type: string}}\n",
            head="server: {limits: {message_size: 1MiB}}\n",
        ),
        right=_message(
            "type: object\nproperties: {text: {type: string, maxLength: 2000}}\n",
            head="server: {limits: {message_size: 1MiB}}\n",
        ),
    ),
    Entry(
        code="CH212",
        name="format-unknown",
        severity=WARNING,
        title="a format that is not known",
        explanation=(
            "`format` is checked, for the formats of JSON Schema 2020-12. A name that is not one of them is ignored, as"
            " the standard wants, so the check that it stands for is not made."
        ),
        wrong=_message("properties: {at: {type: string, format: datetime}}\n"),
        right=_message("properties: {at: {type: string, format: date-time}}\n"),
    ),
    Entry(
        code="CH213",
        name="example-invalid",
        severity=ERROR,
        title="an example does not match its schema",
        explanation=(
            "Examples are shown in the exports, the console and the reference; people copy them. Each is checked"
            " against the schema, which describes a frame without its `type` and `id`."
        ),
        wrong=_message("properties: {text: {type: string}}\n", then="examples: [{text: 1}]\n"),
        right=_message("properties: {text: {type: string}}\n", then="examples: [{text: hi}]\n"),
    ),
    Entry(
        code="CH214",
        name="reserved-field-declared",
        severity=WARNING,
        title="the schema declares `type` or `id`",
        explanation=(
            "Every frame has a `type`, and a client may give its frames an `id`. Both are taken off before the schema"
            " is asked, so whatever the schema says of them is never checked."
        ),
        wrong=_message("properties: {type: {const: say}, text: {type: string}}\n"),
        right=_message("properties: {text: {type: string}}\n"),
    ),
    Entry(
        code="CH215",
        name="reserved-field-required",
        severity=ERROR,
        title="the schema requires `type` or `id`",
        explanation=(
            "Both are taken off before the schema is asked, so a schema that requires them refuses every frame. A field"
            " of your own needs another name."
        ),
        wrong=_message("type: object\nrequired: [type]\nproperties: {type: {const: say}}\n"),
        right=_message("type: object\nrequired: [text]\nproperties: {text: {type: string}}\n"),
    ),
    Entry(
        code="CH216",
        name="ref-loop",
        severity=ERROR,
        title="a reference that never ends",
        explanation=(
            "A schema may refer to itself from `properties` or `items`: the value it speaks of gets smaller at each"
            " step. A reference that comes back to itself for the same value says nothing, and validators disagree"
            " about it: some never finish."
        ),
        wrong=_message(
            'properties: {node: {$ref: "#/schemas/node"}}\n',
            head='schemas: {node: {allOf: [{$ref: "#/schemas/node"}]}}\n',
        ),
        right=_message(
            'properties: {node: {$ref: "#/schemas/node"}}\n',
            head='schemas: {node: {type: object, properties: {next: {$ref: "#/schemas/node"}}}}\n',
        ),
    ),
    Entry(
        code="CH217",
        name="schema-not-an-object",
        severity=ERROR,
        title="a schema that accepts no object",
        explanation=(
            "A frame is a JSON object, and so are claims. A schema of another type refuses all of them. To let clients"
            " send a list or a string, give it a field."
        ),
        wrong=_message("type: array\nitems: {type: string}\n"),
        right=_message("type: object\nproperties: {tags: {type: array, items: {type: string}}}\n"),
    ),
    Entry(
        code="CH218",
        name="pattern-nested-repeat",
        severity=INFO,
        title="a pattern repeats what repeats inside",
        explanation=(
            "The server matches such patterns in linear time. Clients that check the same schema often do not: with a"
            " backtracking engine their time doubles with each letter. One repeat mostly says the same."
        ),
        wrong=_message('properties: {name: {type: string, pattern: "^(a+)+$"}}\n'),
        right=_message('properties: {name: {type: string, pattern: "^a+$"}}\n'),
    ),
    Entry(
        code="CH219",
        name="schema-foreign-keyword",
        severity=WARNING,
        title="not a JSON Schema keyword, so it checks nothing",
        explanation=(
            "JSON Schema ignores keywords that it does not know. Often a property stands beside `properties` instead of"
            " under it, or the keyword is OpenAPI's (`nullable`, `discriminator`). Notes of your own start with `x-`."
        ),
        wrong=_message("type: object\nnickname: {type: string}\n"),
        right=_message("type: object\nproperties: {nickname: {type: string}}\n"),
    ),
)
