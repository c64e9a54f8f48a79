"""A port for a server that can't be told to choose one itself."""

import random
import socket

# Below the ports from which systems give outgoing connections theirs, so that none of those takes it meanwhile.
_FROM, _TO = 20_000, 32_000
# The system's: a generator that is seeded gives two test processes the same ports.
_RANDOM = random.SystemRandom()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody has now."""
    while True:
        port = _RANDOM.randrange(_FROM, _TO)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
