"""What happens to a connection. The modules are a stair: each imports only those before it, in this order of reading.

    limits         token buckets: a connection's, those that an address or a room shares, and who goes on far over one
    budgets        what is kept of them beyond a connection's end
    latency        how long frames and hooks take
    ports          what the engine asks of those around it, and what its modules ask of it
    publishing     what hooks and the API send: checked and published
    in_flight      messages that the broker has not answered yet
    session        one connection's state and voice
    debts          what a connection used up, left to the next one
    rates          a message type's rate
    holding        the newest of what is over a rate, until its time comes
    errors         what went wrong, as an error frame
    context        what hooks get
    remote_hooks   hooks that a backend answers over HTTP
    hook_calls     calling hooks, and containing what they raise
    authenticate   asking the authenticators, and saying no
    rooms          joining, leaving, being counted present, one change after the other
    showing        a user's own presence state
    routing        from an accepted message to publications
    steps          the way of a message with options
    lifecycle      letting in, watching the token, letting go
    reading        a client that only reads a room
    renewal        asking again: after a new token, after a reload
    reserved       the protocol's own frames
    receive        what comes from a client
    traced         the same, with spans
    engine         the whole: makes sessions, holds the verbs, reloads, drains

Nothing in here knows a socket, a task or a clock of its own. What nodes tell each other stands above (`cluster/`).
"""
