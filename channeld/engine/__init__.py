"""What happens to a connection. The modules are a stair: each imports only those before it, in this order of reading.

    limits         token buckets: a connection's, those that an address or a room shares, and floods
    budgets        what connections have used up, beyond their end
    latency        how long frames and hooks take
    ports          what the engine needs from its surroundings, and what its modules need from it
    publishing     what hooks and the API send: checked and published
    in_flight      messages that the broker has not confirmed yet
    session        one connection's state, and what it is sent
    debts          what a connection has used up, charged to the next one
    rates          a message type's rate
    holding        the newest message over a rate, until the rate allows it
    errors         failures as error frames
    context        the contexts of hooks
    remote_hooks   hooks that a backend answers over HTTP
    hook_calls     calling hooks, and containing what they raise
    authenticate   asking the authenticators, and refusing
    rooms          joining, leaving, presence, one change after the other
    showing        a user's own presence state
    routing        from an accepted message to publications
    steps          the handling of a message with options
    lifecycle      admission, the token's expiry, the close
    room_reader    a client that only reads a room
    renewal        checking rights again, after a new token or a reload
    reserved       the protocol's own frames
    receive        what comes from a client
    traced         the same, with spans
    engine         the whole: makes sessions, has the verbs, reloads, drains

Nothing here knows a socket, a task or a clock of its own. What nodes tell each other is above (`cluster/`).
"""
