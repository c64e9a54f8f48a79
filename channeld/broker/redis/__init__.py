"""The broker for many nodes, over Redis or Valkey. Output is queued, input is counted.

Read `broker.py` first: the contract, and the supervised task that maintains a session. Then, in the order in which a frame
passes: `queue.py` (what waits to be sent, and its batches), `outlet.py` (when), `scripts.py` (what must be one step inside
Redis), `newest.py` (of frames with keys, the newest), `presence.py` (the same for who is there), `single_calls.py` (verbs
that are one call), `server_clock.py` (what the server's clock says), `encoding.py` (names and envelopes),
`subscriptions.py` (what arrives, in order and without gaps), `entries.py` (presence and leases), `roster.py` (this node's
copy of who is present). Below them `session.py` (one session, from dialling to the first fault), `connection.py` (RESP3
over one socket, by callbacks), `dialect.py` (commands for a server or a cluster node), `discovery.py` (where the primary
is) and `statistics.py`. Above them `layout.py` (where a topic is, over several servers or in a cluster) and `shards.py`
(several brokers as one). Also `embedded.py`: a private server for the processes of one machine.
"""
