from channeld.config.model import JwtAuth, TokensAuth
from channeld.plan.identity import Identity
from channeld.schema.guarantees import Shape

JWT = JwtAuth(algorithms=("HS256",))
NAMED = Shape({"required": ["name"], "properties": {"name": {"enum": ["a"]}}}, of_object=True)


def test_a_claim_is_guaranteed_only_by_all_authenticators() -> None:
    one = Identity(((JWT, NAMED),), names=("login",)).claim(("name",))
    both = Identity(((JWT, NAMED), (TokensAuth(tokens=()), None)), names=("login", "robots"))
    assert (one.guaranteed, one.values, one.lacking) == (True, ("a",), ())
    assert not both.claim(("name",)).guaranteed
    assert both.claim(("name",)).lacking == ("robots",)


def test_nothing_is_reported_of_an_authenticator_that_is_invalid() -> None:
    unknown = Identity(is_unknown=True)
    assert unknown.certain
    assert unknown.claim(("anything",)).guaranteed


def test_who_may_be_anonymous_is_not_certain() -> None:
    assert not Identity().certain
    assert not Identity(((JWT, None),), optional=True).certain
    assert Identity(((JWT, None),)).certain
