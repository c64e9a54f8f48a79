"""`type: hook`: the application authenticates the request itself."""

from collections.abc import Iterator

from channeld.auth.authenticator import AuthChange, Authenticator
from channeld.config.model import HookAuth, HookRef


class HookAuthenticator(Authenticator[HookAuth]):
    """Calls a hook, which returns a `User` or None."""

    type = "hook"

    def hook(self) -> HookRef:
        """The declared one."""
        return self.declared.hook

    def ends_connections(self) -> bool:
        """A hook may set when its user expires."""
        return True

    def words(self) -> str:
        """The application decides."""
        return "the application looks at the request"

    def compare(self, name: str, now: HookAuth) -> Iterator[AuthChange]:
        """Reports another hook; its code is not compared."""
        if self.declared.hook != now.hook:
            yield AuthChange(
                code="D701",
                level="dangerous",
                message=f"`{name}` now asks the hook {now.hook.call}",
                key="hook",
                label=f"{self.declared.hook.call} before; its code is not analysed",
            )
