"""The hooks of channels.yaml, answered by FastAPI.

pip install fastapi uvicorn standardwebhooks
CHANNELD_HOOK_SECRET=whsec_… uvicorn fastapi_app:app --port 8000
"""

import os
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request
from standardwebhooks import Webhook, WebhookVerificationError

app = FastAPI()
webhook = Webhook(os.environ["CHANNELD_HOOK_SECRET"])
sessions = {"ann-session": "ann", "bob-session": "bob"}  # a database's affair


async def signed(request: Request) -> dict[str, Any]:
    """The request's body, if channeld has signed it within the last five minutes."""
    try:
        asked: dict[str, Any] = webhook.verify(await request.body(), dict(request.headers))
    except WebhookVerificationError:
        raise HTTPException(403) from None
    return asked


Signed = Annotated[dict[str, Any], Depends(signed)]


@app.post("/hooks/who")
async def who(asked: Signed) -> dict[str, Any]:
    user = sessions.get(asked["request"]["query"].get("token"))
    return {"user": user and {"id": user}}


@app.post("/hooks/say")
async def say(asked: Signed) -> dict[str, Any]:
    text = asked["message"]["text"].strip()
    if text.isupper():
        return {"reject": {"code": "NO_SHOUTING", "message": "please don't shout"}}
    return {"message": {"text": text}}
