"""What stands in the way of a start is one clear line; what the server listens on is what was asked for."""

import datetime as dt
import signal
import socket
import ssl
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.system.kit import PATIENCE, Client, Served, command, environment

Serve = Callable[..., Served]

OPEN = """
    channeld: 1
    channels:
      echo:
        path: /echo
        auth: none
        messages:
          say: {schema: true, route: sender}
"""
SIGNED = """
    channeld: 1
    auth:
      session:
        type: jwt
        algorithms: [HS256]
        secret: ${JWT_SECRET}
        audience: a
        claims: {type: object, required: [name], properties: {name: {type: string}}}
    channels:
      room:
        path: /room
        auth: session
        messages: {say: {schema: true, route: sender, stamp: {name: "{claims.name}"}}}
        events: {news: {schema: true}, say: {schema: true}}
"""
TLS = OPEN + "    server: {tls: {certificate: cert.pem, key: key.pem}}\n"


def write_certificate(folder: Path, name: str = "localhost") -> ssl.SSLContext:
    """A self-signed certificate and its key; who trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    folder.joinpath("cert.pem").write_bytes(certificate.public_bytes(pem))
    folder.joinpath("key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return ssl.create_default_context(cafile=str(folder / "cert.pem"))


def failure(served: Served) -> tuple[int, list[str]]:
    """The exit status and the lines on stderr of a server that does not start."""
    status = served.wait()
    assert served.out.text() == ""
    assert "Traceback" not in served.err.text()
    return status, served.err.lines


def test_tls_with_a_certificate_that_a_reload_renews(serve: Serve, tmp_path: Path) -> None:
    trust = write_certificate(tmp_path)
    served = serve(TLS)
    assert f"wss://127.0.0.1:{served.port}/echo" in served.out.text()
    url = f"wss://localhost:{served.port}/echo"
    with Client(url, ssl=trust) as old:
        assert old.ask("say")["type"] == "ack"
        trust = write_certificate(tmp_path)
        served.tell(signal.SIGHUP)
        served.event("config_reloaded")
        with Client(url, ssl=trust) as new:
            assert new.ask("say")["type"] == old.ask("say")["type"] == "ack"


def test_a_certificate_that_went_bad_leaves_the_old_one(serve: Serve, tmp_path: Path) -> None:
    trust = write_certificate(tmp_path)
    served = serve(TLS)
    tmp_path.joinpath("cert.pem").write_text("nonsense")
    served.tell(signal.SIGHUP)
    served.event("config_refused")
    with Client(f"wss://localhost:{served.port}/echo", ssl=trust) as client:
        assert client.ask("say")["type"] == "ack"


def test_a_unix_socket_which_is_removed_in_the_end(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "channeld.sock"
    served = serve(OPEN + f"    server: {{bind: 'unix:{path}'}}\n")
    assert f"ws+unix:{path}:/echo" in served.out.text()
    assert stat.S_ISSOCK(path.stat().st_mode)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(str(path))
        with Client("ws://localhost/echo", sock=sock) as client:
            assert client.ask("say")["type"] == "ack"
    served.tell(signal.SIGTERM)
    assert served.wait() == 0
    assert not path.exists()


def test_several_addresses(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    served = serve(OPEN, "--bind", f"unix:{path}", "--bind", "127.0.0.1:0")
    ports = [a for a in served.event("server_started")["bind"] if not a.startswith("unix:")]
    assert len(ports) == 2
    for address in ports:
        with Client(f"ws://{address}/echo") as client:
            assert client.ask("ping")["type"] == "pong"


def test_a_port_that_is_taken(serve: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        yaml = OPEN + f"    server: {{bind: '{address}'}}\n"
        status, lines = failure(serve(yaml, ready=False))
    assert status == 1
    assert lines[0].startswith(f"Error: Cannot listen on {address}: Address already in use. ")
    assert "make run BIND=" in lines[0]


def test_a_missing_certificate(serve: Serve) -> None:
    status, lines = failure(serve(TLS, ready=False))
    assert status == 1
    assert lines[0] == "error[CH124] `cert.pem` cannot be used: No such file or directory"


def test_a_key_that_cannot_be_read(serve: Serve, tmp_path: Path) -> None:
    write_certificate(tmp_path)
    tmp_path.joinpath("key.pem").unlink()
    tmp_path.joinpath("key.pem").mkdir()
    status, lines = failure(serve(TLS, ready=False))
    assert status == 1
    assert lines[0] == "error[CH124] `key.pem` cannot be used: Is a directory"


def test_a_key_of_another_certificate(serve: Serve, tmp_path: Path) -> None:
    write_certificate(tmp_path)
    key = tmp_path.joinpath("key.pem").read_bytes()
    write_certificate(tmp_path)
    tmp_path.joinpath("key.pem").write_bytes(key)
    status, lines = failure(serve(TLS, ready=False))
    assert status == 2
    assert len(lines) == 1
    assert lines[0].startswith(
        "Error: server.tls: key.pem is not the key of the certificate in cert.pem"
    )


def test_a_variable_that_is_not_set(serve: Serve) -> None:
    yaml = OPEN + "    server: {bind: '127.0.0.1:${NO_SUCH_PORT}'}\n"
    status, lines = failure(serve(yaml, ready=False))
    assert status == 1
    assert any("NO_SUCH_PORT" in line for line in lines)
    assert lines[-1] == "Error: channels.yaml is not valid"


def test_an_invalid_file_shows_its_problems(serve: Serve) -> None:
    status, lines = failure(serve(OPEN.replace("route:", "rout:"), ready=False))
    assert status == 1
    assert any(line.startswith("error[CH") for line in lines)


def test_no_file_at_all(serve: Serve, tmp_path: Path) -> None:
    served = serve(OPEN, "elsewhere.yaml", ready=False)
    status, lines = failure(served)
    assert (status, lines) == (2, ["Error: elsewhere.yaml: No such file or directory"])


def test_an_address_that_is_none(serve: Serve) -> None:
    status, lines = failure(serve(OPEN, "--bind", "nonsense", ready=False))
    assert status == 2
    assert "'nonsense' is not a valid address" in lines[-1]


FAILING = """
from contextlib import asynccontextmanager

@asynccontextmanager
async def lifespan(server):
    if {early}:
        raise RuntimeError("no database")
    yield None
    raise RuntimeError("no goodbye")
"""


@pytest.mark.parametrize(("early", "words"), [(True, "no database"), (False, "no goodbye")])
def test_a_lifespan_that_raises(serve: Serve, tmp_path: Path, early: bool, words: str) -> None:
    tmp_path.joinpath("hooks.py").write_text(FAILING.format(early=early))
    served = serve(OPEN + "    hooks: {lifespan: hooks:lifespan}\n", ready=not early)
    if not early:
        served.tell(signal.SIGTERM)
    assert served.wait() == 1
    line = f"Error: the lifespan hook hooks:lifespan raised RuntimeError: {words}"
    assert served.err.lines[-1] == line
    assert "hooks.py" in served.event("hook_failed")["exception"]


SLOW = """
import trio
from contextlib import asynccontextmanager

@asynccontextmanager
async def lifespan(server):
    print("waits", flush=True)
    await trio.sleep_forever()
    yield
"""


def test_sigterm_while_hooks_are_imported(serve: Serve, tmp_path: Path) -> None:
    tmp_path.joinpath("hooks.py").write_text(
        f"import os\nos.kill(os.getpid(), {signal.SIGTERM})\n" + SLOW
    )
    served = serve(OPEN + "    hooks: {lifespan: hooks:lifespan}\n", ready=False)
    assert (served.wait(), served.err.text(), served.out.text()) == (0, "", "")


def test_sigterm_during_a_slow_start(serve: Serve, tmp_path: Path) -> None:
    tmp_path.joinpath("hooks.py").write_text(SLOW)
    served = serve(OPEN + "    hooks: {lifespan: hooks:lifespan}\n", ready=False)
    served.out.wait_for(lambda line: line == "waits")
    served.tell(signal.SIGTERM)
    assert (served.wait(), served.err.text()) == (0, "")


EARLY_RELOAD = """
import os, signal
if "RELOADED" not in os.environ:
    os.environ["RELOADED"] = "yes"
    os.kill(os.getpid(), signal.SIGHUP)
    os.kill(os.getpid(), signal.SIGUSR1)

def hook(ctx, message): ...
"""


def test_sighup_while_hooks_are_imported(serve: Serve, tmp_path: Path) -> None:
    tmp_path.joinpath("hooks.py").write_text(EARLY_RELOAD)
    served = serve(OPEN.replace("route: sender", "route: sender, hook: hooks:hook"))
    served.event("config_reloaded")


def test_ctrl_c_during_a_slow_start(serve: Serve, tmp_path: Path) -> None:
    tmp_path.joinpath("hooks.py").write_text(SLOW)
    served = serve(OPEN + "    hooks: {lifespan: hooks:lifespan}\n", ready=False)
    served.out.wait_for(lambda line: line == "waits")
    served.tell(signal.SIGINT)
    assert served.wait() == 130
    assert served.err.text() == ""


def test_other_commands_find_a_development_server(serve: Serve, tmp_path: Path) -> None:
    served = serve(SIGNED, "--dev", "--bind", "127.0.0.1:0")
    talk = ["connect", "/room", "--user", "ann", "--send", '{"type":"say"}']
    found = subprocess.run(
        command(*talk), cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stderr) == (0, "")
    assert '"name":"Ann"' in found.stdout
    said = subprocess.run(
        command("publish", "room", '{"type":"news"}', "--all"),
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (said.returncode, said.stdout) == (0, '{"nodes":1}\n')
    served.tell(signal.SIGINT)
    assert served.wait() == 0
    assert served.out.lines[-1] == "Stopped."
    gone = subprocess.run(
        command(*talk), cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert gone.returncode == 1
    assert "the secret of 'session' is empty" in gone.stderr


def test_short_links_open_a_page(serve: Serve) -> None:
    served = serve(SIGNED, "--dev", "--bind", "127.0.0.1:0")
    link = next(line.split()[-1] for line in served.out.lines if "/go/" in line)
    with httpx2.Client(trust_env=False, timeout=PATIENCE) as browser:
        answer = browser.get(link)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/#key=")
        assert browser.get(f"{link}x").status_code == 404
