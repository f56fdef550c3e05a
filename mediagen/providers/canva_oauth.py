"""Canva's OAuth 2 with PKCE on the wire: the address a person is sent to, and tokens for codes. Knows no rows.

Tokens are given out by `POST {base_url}/v1/oauth/token`, to a client that shows its id and secret. A refresh token
works once: whoever refreshes must keep the new pair before anything else, and nobody may refresh beside them.
"""

from __future__ import annotations

import base64
import hashlib
import secrets as random_source
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from mediagen import http
from mediagen.errors import BadResponse, CredentialsRefused, ProviderError, Unavailable
from mediagen.secrets import Secret, scrub

AUTHORIZE_URL = "https://www.canva.com/api/oauth/authorize"
SCOPES = (
    "asset:read",
    "asset:write",
    "design:content:read",
    "design:content:write",
    "design:meta:read",
    "folder:write",
)
"""what export and import need; the integration must have them switched on in Canva's developer portal"""
CLIENT_ERRORS = frozenset({"invalid_client", "unauthorized_client"})
TOKEN_TIMEOUT_S = 20.0
MAX_TOKEN_CHARS = 8192


class ClientRefused(CredentialsRefused):
    """Canva does not know the client id and secret. The connection itself may still be good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What a code or a refresh token was exchanged for."""

    access_token: Secret
    refresh_token: Secret
    expires_in_s: float
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CanvaClient:
    """One integration of Canva's developer portal, and where it is spoken to."""

    client_id: str
    client_secret: Secret
    base_url: str
    authorize_url: str = AUTHORIZE_URL

    def address_to_authorize(self, *, redirect_uri: str, state: str, verifier: str) -> str:
        """Where the person goes to say yes."""
        query = {
            "code_challenge": challenge_of(verifier),
            "code_challenge_method": "S256",
            "scope": " ".join(SCOPES),
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": redirect_uri,
            "state": state,
        }
        joint = "&" if "?" in self.authorize_url else "?"
        return f"{self.authorize_url}{joint}{urlencode(query)}"

    async def exchange(self, *, code: str, verifier: str, redirect_uri: str) -> Tokens:
        """The first pair for a code. `CredentialsRefused` when Canva takes the code, verifier or address for wrong."""
        form = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier}
        return await self._tokens({**form, "redirect_uri": redirect_uri}, hidden=(Secret(code), Secret(verifier)))

    async def refresh(self, refresh_token: Secret) -> Tokens:
        """The next pair. `CredentialsRefused` when the token was used, revoked or is too old: connect again.

        `OutcomeUnknown` when no answer came: the token may be used up, and only the next try can tell.
        """
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token.reveal()}
        return await self._tokens(form, hidden=(refresh_token,))

    async def revoke(self, refresh_token: Secret) -> None:
        """End the whole line of tokens at Canva."""
        response = await self._post("/v1/oauth/revoke", {"token": refresh_token.reveal()})
        if not response.is_success:
            raise self._error(response, (refresh_token,))

    async def _tokens(self, form: Mapping[str, str], *, hidden: tuple[Secret, ...]) -> Tokens:
        response = await self._post("/v1/oauth/token", form)
        if not response.is_success:
            raise self._error(response, hidden)
        data = response.json_object()
        access, refresh = data.get("access_token"), data.get("refresh_token")
        if not (_is_token(access) and _is_token(refresh)):
            raise BadResponse("the token endpoint answered without a pair of tokens.", http_status=response.status)
        seconds, scope = data.get("expires_in"), data.get("scope")
        lasts = isinstance(seconds, int | float) and not isinstance(seconds, bool) and seconds > 0
        return Tokens(
            access_token=Secret(str(access)),
            refresh_token=Secret(str(refresh)),
            # A token that does not say is refreshed before long; one that lasts for years is not believed.
            expires_in_s=min(float(seconds or 0), 30 * 24 * 3600.0) if lasts else 3600.0,
            scopes=tuple(scope.split()) if isinstance(scope, str) else (),
        )

    async def _post(self, path: str, form: Mapping[str, str]) -> http.Response:
        pair = f"{self.client_id}:{self.client_secret.reveal()}".encode()
        auth = {"authorization": f"Basic {base64.b64encode(pair).decode()}"}
        service = http.Service(self.base_url, auth=auth, timeout_s=TOKEN_TIMEOUT_S)
        async with http.session():
            # A code and a refresh token work once: a lost answer is "unknown", and never sent again here.
            return await service.request("POST", path, form=form, purchase=True)

    def _error(self, response: http.Response, hidden: tuple[Secret, ...]) -> ProviderError:
        """What the answer means. OAuth's errors are `error` and `error_description`, a gateway's are neither."""
        data = response.error_object()
        name, said = data.get("error"), data.get("error_description") or data.get("message")
        if not isinstance(name, str):
            name = data.get("code") if isinstance(data.get("code"), str) else ""
        text = said if isinstance(said, str) else ""
        detail = ": ".join(part for part in (str(name), text) if part) or response.describe_body()
        detail = scrub(detail, (self.client_secret, *hidden))[:300]
        message = f"{response.status} " + "".join(char if char.isprintable() else " " for char in detail)
        if name in CLIENT_ERRORS:
            return ClientRefused(message, http_status=response.status)
        if name and 400 <= response.status < 500 and response.status not in (408, 425, 429):
            return CredentialsRefused(message, http_status=response.status)
        error = http.error_for_status(response, message)
        return error if not isinstance(error, CredentialsRefused) else Unavailable(message, http_status=response.status)


def new_verifier() -> str:
    """A PKCE verifier (RFC 7636): 86 characters that nobody can guess."""
    return random_source.token_urlsafe(64)


def new_state() -> str:
    """What the answer must bring back, so that nobody else's can be slipped in."""
    return random_source.token_urlsafe(32)


def challenge_of(verifier: str) -> str:
    """The S256 challenge of a verifier."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _is_token(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_TOKEN_CHARS and all("!" <= char <= "~" for char in value)
