"""Draws an editor with `channeld lsp`: Neovim's screen, with two mistakes in a new project.

    python docs/reference/editor.py          writes docs/guides/editors.svg

Not part of `generate.py`: it needs Neovim (0.7 or later) and the extra `lsp`. Neovim runs on a terminal of its own, and tells
what is on its screen.
"""

import fcntl
import os
import pty
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

from pages.mistakes import terminal_picture
from rich.text import Text

from channeld.dev.new_project import contents, create

ROOT = Path(__file__).parents[2]
COLUMNS, ROWS, SECONDS = 100, 34, 120.0
MISTAKES = {"    auth: session\n": "    auth: sesion\n", "hooks:no_shouting": "hooks:no_shuoting"}
SCRIPT = """
vim.o.number, vim.o.signcolumn, vim.o.wrap, vim.o.swapfile = true, "yes", false, false
vim.o.laststatus = 2
local id = vim.lsp.start_client({ name = "channeld", cmd = { "channeld", "lsp" }, root_dir = vim.fn.getcwd() })
vim.lsp.buf_attach_client(0, id)
vim.wait(60000, function() return #vim.diagnostic.get(0) > 1 end, 50)
local client = vim.lsp.get_client_by_id(id)
vim.fn.search("rate: 10")
local where = vim.lsp.util.make_position_params(0, client.offset_encoding)
local hover = client.request_sync("textDocument/hover", where, 60000, 0).result.contents.value
vim.fn.search("auth: se")
vim.cmd("normal! zt3\\25")
vim.cmd("botright 7new hover")
vim.bo.buftype = "nofile"
vim.api.nvim_buf_set_lines(0, 0, -1, false, vim.split(hover, "\\n"))
vim.wo.number, vim.wo.signcolumn, vim.wo.wrap, vim.wo.linebreak = false, "no", true, true
vim.cmd("wincmd p")
vim.fn.search("rate: 10")
vim.defer_fn(function()
  vim.cmd("redraw")
  local out = io.open("screen.txt", "w")
  for row = 1, vim.o.lines - 1 do
    local line = {}
    for column = 1, vim.o.columns do line[column] = vim.fn.screenstring(row, column) end
    out:write(table.concat(line), "\\n")
  end
  out:close()
  vim.lsp.stop_client(id)
  vim.cmd("qa!")
end, 500)
"""


def screen(nvim: str) -> str:
    """What Neovim shows of a new project with mistakes in it, line by line."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "chat")
        create(folder, contents("chat"))
        config = folder / "channels.yaml"
        text = config.read_text("utf-8")
        for good, bad in MISTAKES.items():
            text = text.replace(good, bad, 1)
        config.write_text(text, "utf-8")
        (folder / "draw.lua").write_text(SCRIPT, "utf-8")
        _run_on_terminal([nvim, "--clean", config.name, "-S", "draw.lua"], folder)
        shown = (folder / "screen.txt").read_text("utf-8")
    return "\n".join(line.rstrip() for line in shown.splitlines())


def _run_on_terminal(command: list[str], folder: Path) -> None:
    """Run a command on a terminal of its own until it ends; what it writes there is read and not kept."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environ = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"}
    process = subprocess.Popen(  # noqa: S603 - Neovim
        command, cwd=folder, env=environ, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    end = time.monotonic() + SECONDS
    while process.poll() is None and time.monotonic() < end:
        if select.select([ours], [], [], 0.1)[0]:
            try:
                os.read(ours, 65536)
            except OSError:
                break
    process.kill()
    process.wait()
    os.close(ours)


def picture(shown: str) -> str:
    """The screen as an SVG, in the colours of an editor."""
    text = Text(shown)
    text.highlight_regex(r"(?m)^. +\d+ ", "bright_black")
    text.highlight_regex(r"(?m)^E", "bold red")
    text.highlight_regex(r"(?m)^. +\d+ +([\w{}]+:)", "cyan")
    text.highlight_regex(r"■ .*", "red")
    text.highlight_regex(r"(?m)^(channels\.yaml|hover) .*", "bold reverse")
    return terminal_picture("an editor", "nvim channels.yaml", text, "editor")


if __name__ == "__main__":
    found = shutil.which("nvim")
    if found is None:
        sys.exit("Neovim is not installed")
    made = picture(screen(found)).replace("docs/reference/generate.py", "docs/reference/editor.py")
    (ROOT / "docs/guides/editors.svg").write_text(made, "utf-8")
