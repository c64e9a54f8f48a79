"""The guide for identity providers: each of its configurations, tried with tokens of that provider's form and keys made here."""

import json
from pathlib import Path
from typing import Any

import attrs
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from channeld.auth.authenticator import KeySource
from channeld.auth.authenticators import authenticator
from channeld.config.model import Jwks
from channeld.plan.load import check
from channeld.plan.plan import Plan
from channeld.server.jwks import RemoteKeySet
from channeld.testing import START, Client, TestApp, running
from tests.docs.blocks import ROOT, blocks

PAGE = ROOT / "docs" / "guides" / "identity-providers.md"
RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())


@attrs.frozen(kw_only=True)
class Provider:
    """A provider's tokens: what one says, the path, the rooms that it gives, and changes that must be refused."""

    claims: dict[str, Any]
    path: str = "/rooms/general"
    user: str
    rooms: tuple[str, ...] = ("general",)
    forbidden: tuple[dict[str, Any], ...]
    unauthorized: tuple[dict[str, Any], ...] = ()
    algorithm: str = "RS256"


TENANT = "11111111-2222-3333-4444-555555555555"
POOL = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Example1"
PROVIDERS = {
    "auth0": Provider(
        claims={
            "iss": "https://example.eu.auth0.com/",
            "sub": "auth0|5f7c8ec7c33c6c004bbafe82",
            "aud": ["https://chat.example.com", "https://example.eu.auth0.com/userinfo"],
            "azp": "my_client_id",
            "scope": "openid profile chat:write",
            "permissions": ["chat:write"],
            "https://chat.example.com/roles": ["member", "editor"],
        },
        user="auth0|5f7c8ec7c33c6c004bbafe82",
        forbidden=({"https://chat.example.com/roles": ["guest"]},),
        unauthorized=({"aud": ["https://other.example.com"]}, {"iss": "https://evil.example.com/"}),
    ),
    "keycloak": Provider(
        claims={
            "iss": "https://sso.example.com/realms/main",
            "aud": ["chat", "account"],
            "sub": "f3b1c5f0-6d0e-4f0e-8d57-2f4f4e5a6b7c",
            "typ": "Bearer",
            "azp": "web",
            "realm_access": {"roles": ["offline_access", "member"]},
            "resource_access": {"account": {"roles": ["manage-account"]}},
            "groups": ["blue", "red"],
            "preferred_username": "ann",
        },
        path="/teams",
        user="f3b1c5f0-6d0e-4f0e-8d57-2f4f4e5a6b7c",
        rooms=("team-blue", "team-red"),
        forbidden=({"realm_access": {"roles": ["offline_access"]}}, {"realm_access": None}),
        unauthorized=({"aud": "account"}, {"groups": "blue"}),
    ),
    "cognito": Provider(
        claims={
            "iss": POOL,
            "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
            "client_id": "1example23456789",
            "token_use": "access",
            "scope": "openid",
            "username": "ann",
            "cognito:groups": ["chatters", "staff"],
            "jti": "c9d8",
        },
        user="aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
        forbidden=({"cognito:groups": ["staff"]}, {"cognito:groups": None}),
        unauthorized=({"client_id": "another"}, {"token_use": "id"}),
    ),
    "firebase": Provider(
        claims={
            "iss": "https://securetoken.google.com/example-project",
            "aud": "example-project",
            "sub": "uid1234567890",
            "user_id": "uid1234567890",
            "auth_time": int(START) - 60,
            "email": "ann@example.com",
            "email_verified": True,
            "firebase": {
                "identities": {"email": ["ann@example.com"]},
                "sign_in_provider": "password",
            },
        },
        user="uid1234567890",
        forbidden=({"email_verified": False},),
        unauthorized=({"aud": "other-project"},),
    ),
    "azure-ad": Provider(
        claims={
            "iss": f"https://login.microsoftonline.com/{TENANT}/v2.0",
            "aud": "99999999-8888-7777-6666-555555555555",
            "oid": "aaaabbbb-0000-cccc-1111-dddd2222eeee",
            "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ",
            "tid": TENANT,
            "ver": "2.0",
            "scp": "Chat.Read Chat.Write",
        },
        user="aaaabbbb-0000-cccc-1111-dddd2222eeee",
        forbidden=({"scp": "Chat.Read"}, {"scp": "Chat.WriteAll"}),
        unauthorized=({"oid": None}, {"aud": TENANT}),
    ),
    "supabase": Provider(
        claims={
            "iss": "https://example.supabase.co/auth/v1",
            "aud": "authenticated",
            "sub": "0f0e0d0c-1111-2222-3333-444455556666",
            "role": "authenticated",
            "app_metadata": {"provider": "email", "providers": ["email"], "role": "editor"},
            "user_metadata": {"role": "owner"},
            "session_id": "s1",
            "is_anonymous": False,
        },
        user="0f0e0d0c-1111-2222-3333-444455556666",
        forbidden=({"app_metadata": {"provider": "email"}}, {"is_anonymous": True}),
        unauthorized=({"aud": "anon"},),
        algorithm="ES256",
    ),
    "clerk": Provider(
        claims={
            "iss": "https://clerk.example.com",
            "azp": "https://app.example.com",
            "sub": "user_2abc",
            "sid": "sess_2def",
            "v": 2,
            "o": {"id": "org_2ghi", "slg": "acme", "rol": "admin", "per": "read,manage"},
        },
        path="/organization",
        user="user_2abc",
        rooms=("org-org_2ghi",),
        forbidden=({"o": {"id": "org_2ghi", "rol": "guest"}}, {"o": {"id": "org_2ghi"}}),
        unauthorized=({"azp": "https://evil.example.com"}, {"o": None}),
    ),
}


def plan_of(name: str, folder: Path) -> Plan:
    (block,) = (one for one in blocks(PAGE) if one.file == f"{name}.yaml")
    file = folder / "channels.yaml"
    file.write_text(block.text)
    checked = check(str(file), environ={})
    assert [f"{one.code} {one.message}" for one in checked.report] == []
    assert checked.plan is not None
    return checked.plan


async def keys_of(plan: Plan, app: TestApp, folder: Path) -> dict[str, RemoteKeySet]:
    """The plan's key set, read from a file with keys of ours in place of the provider's."""
    source = authenticator(plan.config.auth["login"]).key_source()
    assert source is not None
    mine = {
        "RS256": RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True),
        "ES256": ECAlgorithm.to_jwk(EC.public_key(), as_dict=True),
    }
    entries = [{**key, "kid": f"k-{name}", "use": "sig"} for name, key in mine.items()]
    (folder / "keys.json").write_text(json.dumps({"keys": entries}))
    local = KeySource(jwks=Jwks(file=str(folder / "keys.json")), algorithms=source.algorithms)
    keys = RemoteKeySet(local, app.runtime.clock)
    await keys.refresh()
    return {"login": keys}


def token(provider: Provider, **changes: Any) -> str:
    claims = {"iat": int(START), "exp": int(START) + 3600, **provider.claims, **changes}
    claims = {name: value for name, value in claims.items() if value is not None}
    key: Any = RSA if provider.algorithm == "RS256" else EC
    return jwt.encode(claims, key, provider.algorithm, {"kid": f"k-{provider.algorithm}"})


async def outcome(client: Client) -> tuple[str, int]:
    error = await client.receive("error")
    return error["code"], (await client.wait_closed())[0]


@pytest.mark.parametrize("name", PROVIDERS)
async def test_tokens_of_the_provider(name: str, tmp_path: Path) -> None:
    provider, plan = PROVIDERS[name], plan_of(name, tmp_path)
    async with running(plan) as app:
        app.engine.reload(plan, await keys_of(plan, app, tmp_path))
        client = await app.connect(provider.path, token=token(provider))
        assert (await client.receive("authenticated"))["user"] == provider.user
        assert tuple(client.session.rooms) == provider.rooms
        for change in provider.forbidden:
            client = await app.connect(provider.path, token=token(provider, **change))
            assert await outcome(client) == ("FORBIDDEN", 4403)
        for change in provider.unauthorized:
            client = await app.connect(provider.path, token=token(provider, **change))
            assert await outcome(client) == ("UNAUTHORIZED", 4401)


def test_each_configuration_of_the_page_is_tried() -> None:
    files = [block.file for block in blocks(PAGE) if block.language == "yaml"]
    assert files == [f"{name}.yaml" for name in PROVIDERS]
