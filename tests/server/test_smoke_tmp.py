import pytest
from tests.server.kit import *

@pytest.mark.parametrize("carrier", CARRIERS)
async def test_echo(carrier):
    async with serving(carrier) as s:
        c = await s.client(glued=frame(b"glued"))
        assert await c.text() == b"glued"
        await c.send(frame(b"hello")+frame(b"p",0x89)+frame(b"fr",1)+frame(b"ag",0x80)+frame(b"x"*70000)) if False else await c.send(frame(b"hello")+frame(b"p",0x89)+frame(b"fr",1)+frame(b"ag",0x80))
        assert await c.text() == b"hello"
        assert await c.frame() == (0x8a, b"p")
        assert await c.text() == b"frag"
        await c.send(close_frame(1000))
        assert await c.close_code() == 1000
        assert await c.frame() is None
        await s.until(lambda: bool(s.engine.session.ends))
        assert s.engine.session.ends == [(1000, "")]
        await s.until(lambda: s.gate.sockets==0)
