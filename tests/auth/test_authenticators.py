import subprocess
import sys
from typing import get_args

from channeld.auth.authenticators import AUTH_TYPES, authenticator
from channeld.config.model import Auth, HookAuth, HookRef, JwtAuth, TokensAuth


def test_every_declaration_has_its_type() -> None:
    assert set(AUTH_TYPES) == set(get_args(Auth))
    declared: list[Auth] = [
        JwtAuth(algorithms=("HS256",)),
        TokensAuth(tokens=()),
        HookAuth(hook=HookRef(call="a:b")),
    ]
    assert [authenticator(one).type for one in declared] == ["jwt", "tokens", "hook"]
    assert all(authenticator(one).declared is one for one in declared)


def test_a_validator_does_not_import_pyjwt() -> None:
    program = "import sys, channeld.plan.compile; print([m for m in ('jwt', 'cryptography') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
