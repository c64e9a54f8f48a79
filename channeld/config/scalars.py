"""Durations, sizes, rates and addresses: the language's notations, parsed and formatted.

Each notation has `parse_…` (what was written → value, or a `BadScalar` that says what to write) and `format_…` (value →
the shortest text that gives the same value again). Durations are exact to the millisecond.
"""

import datetime as dt
import ipaddress
import math
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import attrs

from channeld.config.model import Rate
from channeld.protocol.frames import Json

_MILLISECONDS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LOOSE_UNITS: Final = _MILLISECONDS | {"w": 604_800_000}
_BYTES: Final[Mapping[str, int]] = {"B": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3} | {
    unit: 1024**power for power, unit in enumerate(("KiB", "MiB", "GiB"), 1)
}
_PERIODS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0}

_PRIVATE: Final = tuple(
    ipaddress.ip_network(network)
    for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)

_DURATION = re.compile(r"(-?[0-9]{1,12})(ms|s|m|h|d)", re.ASCII)
_SIZE = re.compile(r"(-?[0-9]{1,15})(B|kB|KiB|MB|MiB|GB|GiB)", re.ASCII)
_RATE = re.compile(r"(-?[0-9]{1,9})/([smh])", re.ASCII)
# A name that is only digits would be an IPv4 address in decimal.
_HOST = re.compile(r"(?![0-9]+$)[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", re.ASCII)

_LOOSE_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(?![0-9])[\s_]*([a-zµ]{0,12})\.?[\s,]*")
_LOOSE_SIZE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,3})?)[\s_]*([a-z]{1,9})")
_LOOSE_RATE = re.compile(r"([0-9]{1,9})\s*(?:/|r?p|hz|per|a|an|each|every|\s)\s*1?\s*([a-z]{0,8})")
# Lower case, as people write the units that follow.
_UNIT_WORDS: Final = {"": "s"} | {
    word: unit
    for unit, words in {
        "ms": "ms msec msecs milli millis millisecond milliseconds",
        "s": "s sec secs second seconds",
        "m": "m min mins minute minutes",
        "h": "h hr hrs hour hours",
        "d": "d day days",
        "w": "w week weeks",
    }.items()
    for word in words.split()
}
_SIZE_WORDS: Final = dict.fromkeys(("b", "byte", "bytes"), "B") | {
    word: unit
    for unit in ("KiB", "MiB", "GiB")
    for word in (unit[0].lower(), f"{unit[0]}b".lower(), f"{unit[0]}i".lower(), unit.lower())
}


@attrs.frozen(slots=True)
class BadScalar:
    """Why a value is invalid (`is not a valid duration`), and what to write instead."""

    why: str
    write: str


@attrs.frozen(slots=True)
class TcpAddress:
    """A host and a port; the host is empty for every interface, port 0 is a free one."""

    host: str
    port: int


@attrs.frozen(slots=True)
class UnixAddress:
    """The path of a Unix socket."""

    path: str


def parse_duration(written: Json) -> float | BadScalar:
    """Seconds, from `250ms`, `10s`, `5m`, `1h` or `7d`. Negative ones parse; ranges are checked elsewhere."""
    if isinstance(written, str):
        match = _DURATION.fullmatch(written)
        if match is not None:
            return int(match[1]) * _MILLISECONDS[match[2]] / 1000
    return BadScalar("is not a valid duration", _duration_to_write(written))


def format_duration(seconds: float) -> str:
    """The shortest text for a number of seconds, such as `90s` or `2h`."""
    milliseconds = round(seconds * 1000)
    if milliseconds == 0:
        return "0s"
    for unit in ("d", "h", "m", "s"):
        if milliseconds % _MILLISECONDS[unit] == 0:
            return f"{milliseconds // _MILLISECONDS[unit]}{unit}"
    return f"{milliseconds}ms"


def parse_moment(written: Json) -> float | BadScalar:
    """Unix seconds, from a number of them (also as text) or from RFC 3339 with a time zone."""
    try:
        number = float(written) if isinstance(written, str | int | float) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if math.isfinite(number):
        return number
    try:
        moment = dt.datetime.fromisoformat(str(written))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        return BadScalar("is not a moment", "Unix seconds, or RFC 3339 with a time zone")
    return moment.timestamp()


def parse_size(written: Json) -> int | BadScalar:
    """Bytes, from a whole number, `64KiB`, `1MiB`, `1GiB`, or the decimal `64kB`, `1MB`, `1GB`."""
    if type(written) is int:
        return written
    if isinstance(written, str):
        match = _SIZE.fullmatch(written)
        if match is not None:
            return int(match[1]) * _BYTES[match[2]]
    return BadScalar("is not a valid size", _size_to_write(written))


def format_size(size: int) -> str:
    """The shortest text for a number of bytes: in binary units where they fit exactly, else the bare number."""
    for unit in ("GiB", "MiB", "KiB"):
        if size and size % _BYTES[unit] == 0:
            return f"{size // _BYTES[unit]}{unit}"
    return str(size)


def parse_rate(written: Json, burst: int | None = None) -> Rate | BadScalar:
    """A token bucket, from `10/s`, `100/m` or `1000/h`; the burst defaults to the count."""
    if isinstance(written, str):
        match = _RATE.fullmatch(written)
        if match is not None:
            limit = int(match[1])
            return Rate(
                limit=limit, period=_PERIODS[match[2]], burst=limit if burst is None else burst
            )
    return BadScalar("is not a valid rate", _rate_to_write(written))


def format_rate(rate: Rate) -> str:
    """`10/s`, or `10/s (burst 30)` if the burst differs from the count."""
    unit = next(unit for unit, period in _PERIODS.items() if period == rate.period)
    burst = f" (burst {rate.burst})" if rate.burst != rate.limit else ""
    return f"{rate.limit}/{unit}{burst}"


def parse_address(written: Json) -> TcpAddress | UnixAddress | BadScalar:
    """An address to listen on, from `127.0.0.1:4000`, `[::1]:4000`, `:4000` (every interface) or `unix:PATH`."""
    if isinstance(written, str):
        if written.startswith("unix:") and len(written) > len("unix:"):
            return UnixAddress(written.removeprefix("unix:"))
        host, colon, port = written.rpartition(":")
        if colon and _is_host(host) and _is_port(port):
            return TcpAddress(host.strip("[]"), int(port))
    return BadScalar("is not a valid address to listen on", _address_to_write(written))


def format_address(address: TcpAddress | UnixAddress) -> str:
    """The text of an address, which parses to the same address."""
    if isinstance(address, UnixAddress):
        return f"unix:{address.path}"
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{host}:{address.port}"


def server_of(url: str) -> str:
    """The server of a broker's URL, without database, credentials and options."""
    parts = urlsplit(url)
    path = parts.path.strip("/")
    if parts.scheme == "unix":
        return f"/{path}"
    is_sentinel = parts.scheme.endswith("+sentinel")
    port = 26_379 if is_sentinel else 6_379
    places = [
        place if place.rpartition(":")[2].isdigit() else f"{place}:{port}"
        for place in parts.netloc.rpartition("@")[2].lower().split(",")
    ]
    primary = f"/{path.partition('/')[0]}" if is_sentinel else ""
    return ",".join(sorted(places)) + primary


def broker_problem(url: str) -> str:
    """Why the URL of a broker cannot lead to a server; empty if it can. The URL, which may be a secret, is not quoted."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "has brackets without an IPv6 address"
    path = parts.path.strip("/")
    if "#" in url or ("@" in path + parts.query and "@" not in parts.netloc):
        return "has `#`, `/` or `?` in its password: write `%23`, `%2F`, `%3F`"
    kind = parts.scheme.partition("+")[2]
    if parts.scheme == "unix":
        problem, path = "" if path else "names no socket", ""
    else:
        problem = _servers_problem(parts.netloc.rpartition("@")[2].split(","), kind)
    if kind == "cluster" and path:
        problem = problem or "has a database, and a cluster has none: end it behind the last port"
    if kind == "sentinel":
        primary, _, path = path.partition("/")
        if not primary:
            problem = (
                problem
                or "does not name a primary: end it with `/mymaster`, as the Sentinels call it"
            )
    return problem or _database_problem(path, parts.query)


def _servers_problem(servers: list[str], kind: str) -> str:
    problem = next(filter(None, map(_server_problem, servers)), "")
    if not problem and len(servers) > 1 and not kind:
        return "names several servers: write `urls`, `redis+sentinel://` or `redis+cluster://`"
    return problem


def _server_problem(server: str) -> str:
    host, colon, port = server.rpartition(":")
    if not colon or server.endswith("]"):
        host, port = server, ""
    if not host.strip("[]"):
        return "does not name a host"
    if not _is_resolvable(host):
        return "has a host that is neither a name nor an address"
    is_bad = bool(colon and port) and not (_is_port(port) and int(port))
    return "has a port that is not a number from 1 to 65535" if is_bad else ""


def _is_resolvable(host: str) -> bool:
    try:
        name = host.removesuffix(".").encode("idna").decode()
    except UnicodeError:
        return False
    # Service names of Docker Compose may contain `_`.
    return bool(name) and _is_host(name.replace("_", "x"))


def _database_problem(path: str, query: str) -> str:
    given = [path, *(text for name, text in parse_qsl(query) if name == "db")]
    if all(not text or re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) for text in given):
        return ""
    return "has a database that is not a number: end it with `/0`"


def is_loopback(host: str) -> bool:
    """Whether a host (as in a URL or an address) can only mean this machine."""
    if host.lower().rstrip(".") == "localhost" or host.lower().endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_private(host: str) -> bool:
    """Whether an address (not a name) is loopback or private (RFC 1918, RFC 4193)."""
    try:
        address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return mapped.is_loopback or any(mapped in network for network in _PRIVATE)


def _is_host(host: str) -> bool:
    if host.startswith("[") and host.endswith("]"):
        try:
            ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            return False
        return True
    return not host or _HOST.fullmatch(host) is not None


def _is_port(port: str) -> bool:
    return re.fullmatch(r"[0-9]{1,5}", port, re.ASCII) is not None and int(port) <= 65535


def _duration_to_write(written: Json) -> str:
    if type(written) is int and 0 <= written < 10**9:
        return f"{written}s"
    total = 0.0
    rest = str(written).strip().lower() if isinstance(written, str | float) else ""
    while rest and (match := _LOOSE_DURATION.match(rest)):
        unit = _UNIT_WORDS.get(match[2])
        if unit is None:
            break
        total += float(match[1]) * _LOOSE_UNITS[unit]
        rest = rest[match.end() :]
    if rest or total < 1:
        return "250ms, 10s, 5m, 1h or 7d"
    return format_duration(round(total) / 1000)


def _size_to_write(written: Json) -> str:
    if isinstance(written, str):
        text = written.strip().lower()
        match = _LOOSE_SIZE.fullmatch(text)
        unit = _SIZE_WORDS.get(match[2]) if match else None
        if match and unit:
            size = float(match[1])
            return f"{size:.0f}{unit}" if size.is_integer() else str(int(size * _BYTES[unit]))
        if re.fullmatch(r"[0-9]{1,15}", text, re.ASCII):
            return text
    return "64KiB, 1MiB or a number of bytes"


def _rate_to_write(written: Json) -> str:
    if type(written) is int and written > 0:
        return f"{written}/s"
    if isinstance(written, str):
        match = _LOOSE_RATE.fullmatch(written.strip().lower())
        unit = _UNIT_WORDS.get(match[2]) if match else None
        if match and unit in _PERIODS:
            return f"{match[1]}/{unit}"
        if re.fullmatch(r"[0-9]{1,9}", written.strip(), re.ASCII):
            return f"{written.strip()}/s"
    return "10/s, 100/m or 1000/h"


def _address_to_write(written: Json) -> str:
    if type(written) is int and 0 <= written <= 65535:
        return f"127.0.0.1:{written}"
    text = written.strip() if isinstance(written, str) else ""
    bare = (text.partition("://")[2] or text).rstrip("/;").replace("*:", "0.0.0.0:")
    host, _, port = bare.rpartition(":")
    if _is_port(port) and (not host or host.isdecimal()):
        return f"127.0.0.1:{port}"
    if ":" in host and _is_host(f"[{host}]") and _is_port(port):
        return f"[{host}]:{port}"
    address = f"[{bare.strip('[]')}]" if ":" in bare else bare
    if bare and _is_host(address):
        return f"{address}:4000"
    if bare != written and not isinstance(parse_address(bare), BadScalar):
        return bare
    return "127.0.0.1:4000, [::1]:4000, :4000 or unix:channeld.sock"


def rate_of(count: int, seconds: float) -> Json:
    """The rate in the smallest unit that makes it a whole number; what came at once still may."""
    for unit, length in (("s", 1), ("m", 60), ("h", 3600)):
        limit = count * length / seconds
        if limit >= 1 and limit == int(limit):
            rate = f"{int(limit)}/{unit}"
            return rate if length == seconds else {"limit": rate, "burst": count}
    return f"{count}/s"
