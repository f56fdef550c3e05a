"""Google's Vertex AI and its token endpoint: generateContent as of the Developer API, for a service account's token.

The statement that asks for a token is checked as strictly as Google does: signature, audience, scope and times.
"""

from __future__ import annotations

import base64
import json
import time
from functools import cached_property
from typing import Any, ClassVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.servers.gemini import MODELS, VISION_MODEL, GeminiServer
from tests.servers.web import Answer, Answered, Request, json_answer

PROJECT, LOCATION, EMAIL, KEY_ID = "my-project", "europe-west1", "painter@my-project.iam.gserviceaccount.com", "k1"
PLACE = f"/v1/projects/{PROJECT}/locations/{LOCATION}/publishers/google/models/"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class VertexServer(GeminiServer):
    """{location}-aiplatform.googleapis.com and oauth2.googleapis.com at one address."""

    name = "vertex"
    env_key = "GOOGLE_SERVICE_ACCOUNT_JSON"
    base_path = "/v1"
    steps = ("token", "submit", "other")
    generate_steps: ClassVar = ("token", "submit")

    def _forget(self) -> None:
        super()._forget()
        self.tokens: list[str] = []
        """those that are good"""
        self.lasts_s: Any = 3599

    @cached_property
    def private_key(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @cached_property
    def account(self) -> dict[str, str]:
        """The file as Google's console gives it."""
        pem = self.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": KEY_ID,
            "private_key": pem,
            "client_email": EMAIL,
            # Where nobody should go because a file says so.
            "token_uri": "https://evil.example/token",
        }

    def step_of(self, request: Request) -> str:
        return "token" if request.path == "/token" else super().step_of(request)

    def handle(self, request: Request) -> Answer:
        if request.path == "/token":
            return self._token(request)
        if "x-goog-api-key" in request.headers:
            raise self.refuse(400, request, message="Send a token, not a key.")
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            raise self.refuse(401, request, message="Request had invalid authentication credentials.")
        model, _, method = request.path.removeprefix(PLACE).partition(":")
        if not request.path.startswith(PLACE) or (request.method, method) != ("POST", "generateContent"):
            raise self.refuse(404, request, message="The requested URL was not found on this server.")
        if model == VISION_MODEL:
            return self._look(request)
        if model not in MODELS:
            raise self.refuse(404, request, message=f"Publisher Model `{model}` was not found.")
        return self._generate(request, model)

    def _token(self, request: Request) -> Answer:
        form = {name: part.text for name, part in request.form().items()}
        if request.method != "POST" or "authorization" in request.headers or form.keys() != {"grant_type", "assertion"}:
            raise self._no_token("invalid_request", "Bad Request")
        try:
            header, claims, signature = form["assertion"].split(".")
            self.private_key.public_key().verify(
                _bytes(signature), f"{header}.{claims}".encode(), padding.PKCS1v15(), SHA256()
            )
            says, asks = json.loads(_bytes(header)), json.loads(_bytes(claims))
        except (ValueError, InvalidSignature):
            raise self._no_token("invalid_grant", "Invalid JWT Signature.") from None
        now = time.time()
        right = (
            form["grant_type"] == GRANT
            and says == {"alg": "RS256", "typ": "JWT", "kid": KEY_ID}
            and asks.keys() == {"iss", "scope", "aud", "iat", "exp"}
            and asks["iss"] == EMAIL
            and asks["aud"] == "https://oauth2.googleapis.com/token"
            and asks["scope"] == "https://www.googleapis.com/auth/cloud-platform"
            and now - 300 < asks["iat"] <= now + 300
            and asks["iat"] < asks["exp"] <= asks["iat"] + 3600
        )
        if not right:
            raise self._no_token("invalid_grant", "Invalid JWT.")
        self.admit(request)
        self.tokens.append(f"ya29.planted-token-{self.new_id()}")
        return json_answer({"access_token": self.tokens[-1], "expires_in": self.lasts_s, "token_type": "Bearer"})

    def _no_token(self, error: str, said: str) -> Exception:
        return Answered(json_answer({"error": error, "error_description": said}, 400))


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
