"""The files of `examples/deploy` work: proxies carry a chat, checkers find nothing, the image has what it needs."""

import json
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from tests.npm_parts import skip
from tests.system.kit import (
    PATIENCE,
    ROOT,
    SECRET,
    Client,
    Served,
    command,
    environment,
    eventually,
    process_of,
    token,
)
from tests.system.test_start import write_certificate
from tests.system_parts import PATH

pytestmark = pytest.mark.wide

DEPLOY = ROOT / "examples" / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
VARIABLES = {
    "CHANNELD_JWT_SECRET": SECRET,
    "CHANNELD_API_KEY": "a-key-of-exactly-thirty-two-char",
    "CHANNELD_REDIS_URL": "redis://127.0.0.1:6379/0",
}


def program(name: str) -> str:
    found = shutil.which(name, path=PATH)
    if found is None:
        skip(f"{name} is not here")
    return found or ""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


def checked(*arguments: str, folder: Path = ROOT) -> str:
    done = subprocess.run(
        arguments,
        cwd=folder,
        env=environment(**VARIABLES),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """The deployment's own configuration, with the memory broker and free ports."""
    text = (DEPLOY / "channels.yaml").read_text()
    text = text.replace("0.0.0.0:4000", "127.0.0.1:0").replace("0.0.0.0:4001", "127.0.0.1:0")
    text = text.replace('broker: {redis: {url: "${CHANNELD_REDIS_URL}"}}\n', "")
    tmp_path.joinpath("channels.yaml").write_text(text)
    with process_of(command("run"), tmp_path, environment(**VARIABLES)) as process:
        yield process.wait_ready()


def talk(url: str, origin: str, trust: ssl.SSLContext | None = None) -> None:
    """Connect as a browser's page of the site does, and say something."""
    bearer = ["channeld", f"bearer.{token('ann')}"]
    with Client(f"{url}/rooms/general", origin=origin, subprotocols=bearer, ssl=trust) as client:
        client.receive("presence")
        client.send("say", text="hello", id=1)
        assert client.receive("say")["from"] == "ann"


def is_open(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def test_the_configuration_has_no_findings() -> None:
    out = checked(*command("validate", "--strict", str(DEPLOY / "channels.yaml")))
    assert "no problems" in out


def test_nginx_carries_a_chat_and_keeps_the_port(served: Served, tmp_path: Path) -> None:
    trust = write_certificate(tmp_path)
    port = free_port()
    text = (DEPLOY / "nginx.conf").read_text()
    for old, new in {
        "127.0.0.1:4000": served.address,
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "/etc/letsencrypt/live/chat.example.com/fullchain.pem": str(tmp_path / "cert.pem"),
        "/etc/letsencrypt/live/chat.example.com/privkey.pem": str(tmp_path / "key.pem"),
    }.items():
        assert old in text
        text = text.replace(old, new)
    paths = "".join(
        f"{kind}_temp_path {tmp_path}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;\n" if Path("/root").owner() == "root" else ""
    main = f"{user}daemon off;\npid {tmp_path}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n{paths}{text}}}\n"
    tmp_path.joinpath("nginx.conf").write_text(main)
    run = [program("nginx"), "-p", str(tmp_path), "-c", "nginx.conf"]
    checked(*run, "-t")
    with process_of(run, tmp_path, environment()) as process:
        eventually(lambda: is_open(port))
        talk(f"wss://localhost:{port}", f"https://localhost:{port}", trust)
        # The workers hold its streams open until they have ended as well.
        process.tell(signal.SIGTERM)
        process.wait()


def test_caddy_carries_a_chat(served: Served, tmp_path: Path) -> None:
    port = free_port()
    text = "{\n\tadmin off\n\tauto_https off\n}\n" + (DEPLOY / "Caddyfile").read_text()
    tmp_path.joinpath("Caddyfile").write_text(text)
    run = [program("caddy"), "run", "--config", "Caddyfile", "--adapter", "caddyfile"]
    variables = {
        "SITE": f"http://localhost:{port}",
        "UPSTREAM": served.address,
        "XDG_DATA_HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path),
    }
    with process_of(run, tmp_path, environment(**variables)):
        eventually(lambda: is_open(port))
        talk(f"ws://localhost:{port}", f"http://localhost:{port}")


def test_the_systemd_unit_verifies(tmp_path: Path) -> None:
    text = (DEPLOY / "channeld.service").read_text()
    assert text.count("/srv/channeld/.venv/bin/channeld ") == 2
    unit = tmp_path / "channeld.service"
    unit.write_text(text.replace("/srv/channeld/.venv/bin/channeld ", "/bin/true "))
    out = checked(program("systemd-analyze"), "verify", "--man=no", str(unit))
    assert "channeld.service" not in out


def test_the_unit_outlasts_the_drain() -> None:
    unit = (DEPLOY / "channeld.service").read_text()
    seconds = int(re.findall(r"TimeoutStopSec=(\d+)", unit)[0])
    config = yaml.safe_load((DEPLOY / "channels.yaml").read_text())
    assert seconds > int(config["server"]["drain"].removesuffix("s"))


def test_the_alert_rules_are_rules_about_our_metrics() -> None:
    from channeld.telemetry import METRICS

    file = DEPLOY / "prometheus-rules.yaml"
    assert "SUCCESS" in checked(program("promtool"), "check", "rules", str(file))
    named = set(re.findall(r"\bchanneld_\w+", re.sub(r"summary:.*", "", file.read_text())))
    assert {re.sub(r"_bucket$", "", name) for name in named} <= set(METRICS)


def manifests() -> list[Path]:
    listed = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]
    return [KUBERNETES / name for name in listed]


@pytest.mark.parametrize("path", manifests(), ids=lambda path: path.name)
def test_kubernetes_takes_the_manifests(path: Path) -> None:
    kubernetes_validate.validate(yaml.safe_load(path.read_text()), "1.32", strict=True)


def test_the_kustomization_names_every_file() -> None:
    files = {path.name for path in KUBERNETES.glob("*.yaml")}
    named = {path.name for path in manifests()}
    assert files - named == {"kustomization.yaml", "channels.yaml"}
    assert (KUBERNETES / "channels.yaml").read_text() == (DEPLOY / "channels.yaml").read_text()


def test_pods_outlast_the_drain_and_probe_what_is_answered() -> None:
    pod = yaml.safe_load((KUBERNETES / "deployment.yaml").read_text())["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > 20 + 5
    (container,) = pod["containers"]
    probes = {container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("readiness", "liveness")}
    assert probes == {"/health/ready", "/health/live"}
    assert container["securityContext"]["readOnlyRootFilesystem"]


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines if line]


def test_the_image_copies_all_that_the_wheel_is_built_of(tmp_path: Path) -> None:
    """No image registry is in reach of the tests: the steps between the two FROM lines are done in a folder."""
    build = instructions()[: [i for i, (word, _) in enumerate(instructions()) if word == "FROM"][1]]
    for word, rest in build:
        if word == "COPY":
            *sources, target = rest.split()
            (tmp_path / target).parent.mkdir(parents=True, exist_ok=True)
            for source in sources:
                if (ROOT / source).is_dir():
                    shutil.copytree(ROOT / source, tmp_path / target)
                else:
                    shutil.copy(ROOT / source, tmp_path / target)
    checked(
        *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"),
        *("--wheel-dir", "dist", "."),
        folder=tmp_path,
    )
    assert list(tmp_path.glob("dist/channeld-*.whl"))


def test_the_image_s_health_check_asks_the_server(served: Served) -> None:
    (check,) = (rest for word, rest in instructions() if word == "HEALTHCHECK")
    _, _, code = json.loads(check.partition("CMD ")[2])
    address = served.event("api_started")["bind"][0]
    assert "127.0.0.1:4001" in code
    checked(sys.executable, "-c", code.replace("127.0.0.1:4001", address))
    taken = f"127.0.0.1:{free_port()}"
    done = subprocess.run(
        [sys.executable, "-c", code.replace("127.0.0.1:4001", taken)],
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode != 0


def test_compose_sets_what_the_configuration_asks_for() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    wanted = set(re.findall(r"\$\{(\w+)\}", (DEPLOY / "channels.yaml").read_text()))
    assert set(services["channeld"]["environment"]) == wanted == set(VARIABLES)
    built = services["channeld"]["build"]
    context = (DEPLOY / built["context"]).resolve()
    assert (context / built["dockerfile"]).is_file()
    mounted = services["caddy"]["volumes"][0].partition(":")[0]
    assert (DEPLOY / mounted).is_file()
    assert services["channeld"]["read_only"]


def test_the_guide_names_each_file() -> None:
    guide = (ROOT / "docs" / "guides" / "deployment.md").read_text()
    names = [path.name for path in DEPLOY.iterdir() if path.name != "channels.yaml"]
    assert [name for name in names if f"examples/deploy/{name}" not in guide] == []
