"""The hooks of channels.yaml, answered by Django, in one file.

pip install django standardwebhooks
CHANNELD_HOOK_SECRET=whsec_… python django_app.py runserver 127.0.0.1:8000 --noreload
"""

import os
import sys
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from standardwebhooks import Webhook, WebhookVerificationError

settings.configure(ROOT_URLCONF=__name__, SECRET_KEY=os.urandom(32).hex(), ALLOWED_HOSTS=["*"])
webhook = Webhook(os.environ["CHANNELD_HOOK_SECRET"])
sessions = {"ann-session": "ann", "bob-session": "bob"}  # a database's affair


def hook(answer: Callable[[Any], dict[str, Any]]) -> Callable[[HttpRequest], HttpResponse]:
    """A view that answers what channeld has signed within the last five minutes."""

    @csrf_exempt
    def view(request: HttpRequest) -> HttpResponse:
        try:
            asked = webhook.verify(request.body, dict(request.headers))
        except WebhookVerificationError:
            return HttpResponseForbidden()
        return JsonResponse(answer(asked))

    return view


@hook
def who(asked: Any) -> dict[str, Any]:
    user = sessions.get(asked["request"]["query"].get("token"))
    return {"user": user and {"id": user}}


@hook
def say(asked: Any) -> dict[str, Any]:
    text = asked["message"]["text"].strip()
    if text.isupper():
        return {"reject": {"code": "NO_SHOUTING", "message": "please don't shout"}}
    return {"message": {"text": text}}


urlpatterns = [path("hooks/who", who), path("hooks/say", say)]

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
