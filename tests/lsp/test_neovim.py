"""The configuration of the guide works in Neovim: an editor that is not ours, with its own client."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lsp.parts import CHAT
from tests.system_parts import PATH

pytestmark = [pytest.mark.wide, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
SCRIPT = """
local said = io.open("said.txt", "w")
local function say(...) said:write(table.concat({...}, " "), "\\n") said:flush() end
local function wait(what, done) assert(vim.wait(120000, done, 50), what) end
local id = vim.lsp.start_client({ name = "channeld", cmd = { "channeld", "lsp" }, root_dir = vim.fn.getcwd() })
vim.lsp.buf_attach_client(0, id)
local client = vim.lsp.get_client_by_id(id)
wait("it does not start", function() return client.initialized end)

vim.api.nvim_buf_set_lines(0, 1, 1, false, { "nonsense: 1" })
wait("no findings", function() return #vim.diagnostic.get(0) > 0 end)
local finding = vim.diagnostic.get(0)[1]
say("finding", finding.code or finding.user_data.lsp.code, finding.lnum)
vim.api.nvim_buf_set_lines(0, 1, 2, false, {})
wait("the finding stays", function() return #vim.diagnostic.get(0) == 0 end)

vim.fn.search("auth: session")
vim.cmd("normal! fs")
local where = vim.lsp.util.make_position_params(0, client.offset_encoding)
local function ask(method) return client.request_sync("textDocument/" .. method, where, 60000, 0).result end
say("definition", ask("definition")[1].range.start.line)
say("completion", ask("completion")[1].label)
say("hover", ask("hover").contents.value:match("%*%*(.-)%*%*"))
vim.lsp.stop_client(id)
wait("it does not end", function() return client.is_stopped() end)
vim.cmd("qa!")
"""


def test_neovim_shows_findings_and_asks(chat: Path) -> None:
    nvim = shutil.which("nvim", path=PATH)
    if nvim is None:
        pytest.skip("no Neovim here")
    (chat.parent / "try.lua").write_text(SCRIPT)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": path}
    command = [nvim, "--headless", "--clean", chat.name, "-S", "try.lua"]
    ended = subprocess.run(
        command, cwd=chat.parent, env=environ, capture_output=True, timeout=280, check=False
    )
    said = (chat.parent / "said.txt").read_text().splitlines()
    assert said == [
        "finding CH103 1",
        f"definition {CHAT.splitlines().index('  session:')}",
        "completion session",
        "hover Authentication",
    ], ended.stderr.decode()
