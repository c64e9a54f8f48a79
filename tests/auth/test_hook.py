from channeld.auth.hook import HookAuthenticator
from channeld.config.model import HookAuth, HookRef

OURS = HookAuthenticator(HookAuth(hook=HookRef(call="app:who")))


def test_the_application_decides() -> None:
    assert OURS.hook() == HookRef(call="app:who")
    assert OURS.words() == "the application looks at the request"
    assert (OURS.token_from(), OURS.ends_connections()) == ((), True)


def test_another_hook_is_not_judged() -> None:
    assert list(OURS.compare("s", OURS.declared)) == []
    (found,) = OURS.compare("s", HookAuth(hook=HookRef(call="app:other")))
    assert (found.code, found.level, found.key) == ("D701", "dangerous", "hook")
    assert found.message == "`s` now asks the hook app:other"
