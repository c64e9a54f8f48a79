"""`channeld token`: mint a token from the configuration's HMAC secret, for development."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

import click

from channeld.auth.authenticator import CannotMint
from channeld.cli.loading import DEFAULT_FILE, demand_valid, environ_of
from channeld.config.scalars import BadScalar, parse_duration
from channeld.dev.claims import likely_claims
from channeld.dev.mint import Minter, choose, parse_claim
from channeld.plan.load import check
from channeld.plan.plan import Plan
from channeld.protocol.frames import Json
from channeld.schema.violations import Validator

# click's types are generic for type checkers only, and only since 8.4.
if TYPE_CHECKING:
    _Seconds = click.ParamType[float]
    _Claim = click.ParamType[tuple[str, Json]]
else:
    _Seconds = _Claim = click.ParamType


F = TypeVar("F", bound=Callable[..., object])


class DurationType(_Seconds):
    """A duration in the language's notation, `90s` or `1h`; a bare number is seconds."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Parse to seconds."""
        if isinstance(value, int | float):
            return float(value)
        text = str(value)
        seconds = parse_duration(f"{text}s" if text.isdecimal() and text.isascii() else text)
        if isinstance(seconds, BadScalar):
            self.fail(f"{value!r} {seconds.why}: {seconds.write}", param, ctx)
        if seconds <= 0:
            self.fail("a duration must be greater than zero", param, ctx)
        return seconds


class ClaimType(_Claim):
    """`name=value`; the value is parsed as JSON if possible."""

    name = "k=v"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Json]:
        """Parse to a pair."""
        if isinstance(value, tuple):
            return value
        try:
            return parse_claim(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def claim_option(help: str) -> Callable[[F], F]:
    """`--claim NAME=VALUE`, repeatable, as `claims`."""
    return click.option("--claim", "claims", multiple=True, type=ClaimType(), help=help)


@click.command("token")
@click.option("--user", required=True, metavar="ID", help="User id in the token.")
@claim_option("Claim to add; repeatable.")
@click.option(
    "--expires", type=DurationType(), default="1h", show_default=True, help="Lifetime of the token."
)
@click.option(
    "--auth",
    metavar="NAME",
    help="Authenticator to mint for. Default: the first one with a secret.",
)
@click.argument("file", default=DEFAULT_FILE, type=click.Path())
def command(
    user: str, claims: tuple[tuple[str, Json], ...], expires: float, auth: str | None, file: str
) -> None:
    """Mint a token from the configuration's HMAC secret, for development.

    Claim values are parsed as JSON if possible: --claim admin=true --claim 'rooms=["a"]' --claim name=Ann
    """
    plan = demand_valid(check(file, import_hooks=False, environ=environ_of(file)))
    click.echo(minted(plan, auth, user, dict(claims), expires))


def minted(
    plan: Plan,
    auth: str | None,
    user: str,
    claims: Mapping[str, Json],
    lifetime: float,
    *,
    guesses: bool = False,
) -> str:
    """Mint a token of the named authenticator, or of the first that signs; warn if the server would refuse it.

    With `guesses`, the claims that the authenticator requires are generated, as for the links of `run --dev`.

    Raises:
        click.UsageError: the named authenticator does not exist, or does not sign.
        click.ClickException: none signs, or the secret is missing.
    """
    if not 1 <= len(user) <= 128:
        raise click.UsageError("--user takes 1 to 128 characters")
    try:
        minter = choose(plan.config.auth, auth)
    except CannotMint as error:
        # With a name it is the command line that is wrong, without one the file has nothing to sign with.
        raise (click.UsageError if auth else click.ClickException)(str(error)) from None
    try:
        if guesses:
            claims = {**likely_claims(_validator(plan, minter), user), **claims}
        token, payload = minter.mint(user, claims, lifetime=lifetime)
    except CannotMint as error:
        raise click.ClickException(str(error)) from None
    _warn_of_claims(plan, minter, payload)
    return token


def _validator(plan: Plan, minter: Minter) -> Validator | None:
    """A validator of the claims; None if no channel uses the authenticator, or it has no schema."""
    auths = (auth for channel in plan.channels.values() for auth in channel.auth)
    return next((auth.compiled.claims for auth in auths if auth.name == minter.name), None)


def _warn_of_claims(plan: Plan, minter: Minter, payload: dict[str, Json]) -> None:
    schema = _validator(plan, minter)
    for violation in schema.explain(payload) if schema is not None else ():
        where = f"{violation.path}: " if violation.path else ""
        click.echo(
            f"Warning: the server will refuse this token, claims of '{minter.name}': "
            f"{where}{violation.message} (add --claim NAME=VALUE)",
            err=True,
        )
