from channeld.config.model import ChannelLimits, Limits, Rate


def test_a_channel_s_limits_stand_over_the_server_s() -> None:
    rate = Rate(limit=1, period=1.0, burst=1)
    server = Limits(outbox=7, messages=rate)
    found = server.under(ChannelLimits(json_depth=3, connections_per_user=2))
    assert (found.outbox, found.messages, found.json_depth) == (7, rate, 3)
    assert (found.connections_per_user, found.message_size) == (2, 64 * 1024)
