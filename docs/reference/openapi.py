"""Writes openapi.json, the description of the control API, from the server's own table of requests.

python docs/reference/openapi.py
"""

import json
from pathlib import Path

from channeld.api.app import TABLE
from channeld.api.openapi import describe


def main() -> None:
    """Write the file beside this one."""
    text = json.dumps(describe(TABLE), indent=2, ensure_ascii=False)
    Path(__file__).with_name("openapi.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
