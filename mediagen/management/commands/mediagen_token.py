"""manage.py mediagen_token: makes, lists, renews and revokes the keys that programs sign in with."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError, CommandParser

from mediagen.engine.library import IssuedToken, library_called, tokens
from mediagen.errors import InvalidRequest
from mediagen.management.base import MediagenCommand
from mediagen.models import ApiToken
from mediagen.models.clock import db_now
from mediagen.models.token import SCOPES

LONGEST_DAYS = 3650


class Command(MediagenCommand):
    help = (
        "API tokens. create and rotate print the token's text on standard output, alone: it is stored nowhere and "
        "cannot be had again. Exit code 2: bad usage."
    )
    examples = (
        "manage.py mediagen_token create anna --name shop --scope read --scope generate --library Press --days 90",
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=("create", "list", "rotate", "revoke"))
        parser.add_argument(
            "who", nargs="*", metavar="USER|ID", help="create, list: a user name. rotate, revoke: ids of tokens."
        )
        parser.add_argument("--name", default="", help="create: what it is for.")
        parser.add_argument(
            "--scope",
            action="append",
            choices=SCOPES,
            help="create: what it may do, as far as its user may. May be given several times. Default: read.",
        )
        parser.add_argument("--library", metavar="NAME", help="create: only this library (name, slug or id).")
        parser.add_argument("--days", type=int, metavar="N", help="create: it expires after N days. Default: never.")
        parser.add_argument("--test", action="store_true", help="create: makes placeholders only.")
        parser.add_argument("--json", action="store_true", help="list: one JSON object per token.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['action']}")(options)
        except InvalidRequest as exc:
            raise CommandError(str(exc), returncode=2) from None

    def _create(self, options: dict[str, Any]) -> None:
        if len(options["who"]) != 1:
            raise InvalidRequest("Name the one user whose rights the token has.")
        user = _user(options["who"][0])
        library = library_called(options["library"]) if options["library"] else None
        days = options["days"]
        if days is not None and not 1 <= days <= LONGEST_DAYS:
            raise InvalidRequest(f"--days must be 1 to {LONGEST_DAYS}.")
        issued = tokens.issue(
            user,
            options["name"] or "command line",
            scopes=options["scope"] or ("read",),
            library=library,
            expires_at=None if days is None else db_now() + timedelta(days=days),
            is_test=options["test"],
        )
        self._show(issued)

    def _rotate(self, options: dict[str, Any]) -> None:
        if len(options["who"]) != 1:
            raise InvalidRequest("Name the one token, by its id. `manage.py mediagen_token list` shows them.")
        self._show(tokens.rotate(_uuid(options["who"][0])))

    def _show(self, issued: IssuedToken) -> None:
        self.stderr.write(f"Token {issued.token.pk} of {issued.token.user}. Keep it now: it is not shown again.")
        self.stdout.write(issued.text.reveal())
        if self.reader.is_gone:
            raise CommandError(f"The token could not be written to standard output. Rotate it: {issued.token.pk}")

    def _list(self, options: dict[str, Any]) -> None:
        shown = ApiToken.objects.select_related("user", "library").order_by("-id")
        if options["who"]:
            shown = shown.filter(user__in=[_user(name) for name in options["who"]])
        for token in shown:
            self.stdout.write(json.dumps(_facts(token)) if options["json"] else _line(token))
        if not shown and not options["json"]:
            self.stdout.write("There are no tokens. manage.py mediagen_token create USER makes one.")

    def _revoke(self, options: dict[str, Any]) -> None:
        pks = [_uuid(word) for word in options["who"]]
        if not pks:
            raise InvalidRequest("Name the tokens by their ids. `manage.py mediagen_token list` shows them.")
        if missing := set(pks) - set(ApiToken.objects.filter(pk__in=pks).values_list("pk", flat=True)):
            raise InvalidRequest(f"There is no token {', '.join(sorted(map(str, missing)))}. Nothing was revoked.")
        self.stdout.write(f"{tokens.revoke(pks)} revoked.")


def _user(name: str) -> Any:
    model = get_user_model()
    try:
        return model._default_manager.get_by_natural_key(name)
    except model.DoesNotExist:
        raise InvalidRequest(f"There is no user {name!r:.80}.") from None


def _uuid(word: str) -> uuid.UUID:
    try:
        return uuid.UUID(word)
    except ValueError:
        raise InvalidRequest(f"{word!r:.80} is no id of a token. `manage.py mediagen_token list` shows them.") from None


def _facts(token: ApiToken) -> dict[str, Any]:
    times = {
        name: at.isoformat() if (at := getattr(token, name)) else None
        for name in ("created_at", "last_used_at", "expires_at", "revoked_at")
    }
    return {
        "token": str(token.pk),
        "name": token.name,
        "user": token.user.get_username(),
        "ends_in": token.hint,
        "state": tokens.state(token),
        "scopes": token.scopes,
        "library": token.library.name if token.library else None,
        "is_test": token.is_test,
        **times,
    }


def _line(token: ApiToken) -> str:
    where = f", library {token.library.name}" if token.library else ""
    where += ", for tests" if token.is_test else ""
    used = f"last used {token.last_used_at:%Y-%m-%d %H:%M}" if token.last_used_at else "never used"
    return (
        f"{token.pk}  {tokens.state(token):<7}  {token.user.get_username()}  {', '.join(token.scopes)}{where}  "
        f"{used}  {token.name} (ends in {token.hint})"
    )
