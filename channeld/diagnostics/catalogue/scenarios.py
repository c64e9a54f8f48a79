"""CH8xx: scenario files, which `channeld test` runs. The examples are scenario files, not configurations."""

from channeld.diagnostics.catalogue.entry import Entry
from channeld.diagnostics.diagnostic import Severity

__all__ = ["ENTRIES"]

_GOOD = """\
config: channels.yaml
scenarios:
  - name: a message comes back
    clients:
      ann: {path: /rooms/general, user: ann, claims: {name: Ann}}
    steps:
      - ann: {send: {type: message, text: hi, id: 1}}
      - ann: {expect: {type: message, text: hi, from: {$capture: who}}}
"""

ENTRIES: tuple[Entry, ...] = (
    Entry(
        "CH801",
        "scenario-wrong-type",
        Severity.ERROR,
        "a value of a scenario file is of the wrong kind",
        "Every key takes one kind of value: `scenarios` and `steps` take lists, a client and a frame are mappings.",
        _GOOD.replace("    steps:\n", "    skip: 3\n    steps:\n"),
        _GOOD,
    ),
    Entry(
        "CH802",
        "scenario-unknown-key",
        Severity.ERROR,
        "a key that scenario files do not have",
        "A key that means nothing would be passed over, and the scenario would pass without having asked what was "
        "meant. Keys that start with `x-` are allowed and ignored.",
        _GOOD.replace("claims:", "claim:"),
        _GOOD,
    ),
    Entry(
        "CH803",
        "scenario-missing-key",
        Severity.ERROR,
        "a key is missing",
        "A scenario has a `name` and `steps`, a client has a `path`, and what is published has a `channel` and an `event`.",
        _GOOD.replace("path: /rooms/general, ", ""),
        _GOOD,
    ),
    Entry(
        "CH804",
        "scenario-unknown-client",
        Severity.ERROR,
        "a step names a client that the scenario does not have",
        "The key of a step is the name of one of the scenario's `clients`, or `advance` or `publish`, which no client may "
        "be called.",
        _GOOD.replace("- ann: {send", "- anne: {send"),
        _GOOD,
    ),
    Entry(
        "CH805",
        "scenario-bad-step",
        Severity.ERROR,
        "a step does not say one thing",
        "A step is about one client and has one verb: `send`, `send_raw`, `expect`, `expect_unordered`, `absent`, "
        "`expect_close`, `close` or `connect`. Steps are done one after the other, so two things are two steps.",
        _GOOD + "      - ann: {send: {type: ping}, expect: {type: pong}}\n",
        _GOOD + "      - ann: {send: {type: ping}}\n      - ann: {expect: {type: pong}}\n",
    ),
    Entry(
        "CH806",
        "scenario-bad-duration",
        Severity.ERROR,
        "not a duration",
        "Durations have a unit: `250ms`, `10s`, `5m`, `1h`, `7d`; a year is the most.",
        _GOOD + "      - advance: 10 sec\n",
        _GOOD + "      - advance: 10s\n",
    ),
    Entry(
        "CH807",
        "scenario-bad-matcher",
        Severity.ERROR,
        "there is no such matcher, or it takes something else",
        "Keys that start with `$` in an expected frame are matchers: `$any`, `$type`, `$regex`, `$len`, `$gt`, `$lt`, "
        "`$schema`, `$exact`, `$absent`, `$capture`, `$ref`.",
        _GOOD.replace("$capture", "$captur"),
        _GOOD,
    ),
    Entry(
        "CH808",
        "scenario-nothing-captured",
        Severity.ERROR,
        "a reference to something that was not captured before",
        "`{$ref: NAME}` is the value that an earlier `{$capture: NAME}` of the same scenario took.",
        _GOOD + "      - ann: {send: {type: message, text: {$ref: whom}}}\n",
        _GOOD + "      - ann: {send: {type: message, text: {$ref: who}}}\n",
    ),
    Entry(
        "CH809",
        "scenario-name-twice",
        Severity.ERROR,
        "two scenarios have the same name",
        "A name is how a scenario is found in reports, and how it is run again alone (`channeld test -k NAME`).",
        _GOOD + "  - {name: a message comes back, steps: []}\n",
        _GOOD + "  - {name: another, steps: []}\n",
    ),
    Entry(
        "CH810",
        "scenario-bad-code",
        Severity.ERROR,
        "not a close code or a status",
        "Close codes are numbers from 1000 to 4999. `refused` also takes the HTTP statuses with which a handshake can be "
        "answered, such as 404.",
        _GOOD + "      - ann: {expect_close: 200}\n",
        _GOOD + "      - ann: {expect_close: 4401}\n",
    ),
    Entry(
        "CH811",
        "scenario-no-configuration",
        Severity.ERROR,
        "the configuration cannot be used",
        "Scenarios run a configuration: the one that `config` names, relative to the scenario file, or else the nearest "
        "`channels.yaml` in the file's folder or above. It has to be valid.",
        _GOOD.replace("channels.yaml", "nothing-here.yaml"),
        _GOOD,
    ),
    Entry(
        "CH812",
        "scenario-bad-request",
        Severity.ERROR,
        "no client can ask for this",
        "A client's `path` starts with `/`, and its `headers` are printable ASCII.",
        _GOOD.replace("path: /rooms", "path: rooms"),
        _GOOD,
    ),
    Entry(
        "CH813",
        "scenario-file-empty",
        Severity.ERROR,
        "the file has no scenario",
        "A file that tests nothing must not look like one that passes.",
        "scenarios: []\n",
        _GOOD,
    ),
    Entry(
        "CH814",
        "scenario-unknown-hook",
        Severity.ERROR,
        "a stub for a hook that the configuration does not have",
        "Under `hooks`, a scenario file names hooks of the configuration as it names them itself, `module:function`. A stub "
        "for any other would never be called.",
        'hooks: {"chat.hooks:no_shoutin": {reject: "no"}}\n' + _GOOD,
        _GOOD,
    ),
)
