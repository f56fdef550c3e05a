"""The API's addresses: path("api/v1/", include("mediagen.api.urls")), at any prefix.

Each part has its `routes` beside its views.
"""

from __future__ import annotations

from django.urls import re_path

from mediagen.api import me, meta
from mediagen.api.base import Nowhere
from mediagen.api.batches import batches
from mediagen.api.events import webhooks
from mediagen.api.exports import exports, figma, imports
from mediagen.api.files import asset_files, verifying
from mediagen.api.generation import descriptions, generations, settling, works
from mediagen.api.insight import stats
from mediagen.api.library import asset_parts, assets, collections, libraries, tokens
from mediagen.api.openai import views as openai
from mediagen.api.providers import providers
from mediagen.api.slashes import either_way
from mediagen.api.work import jobs

app_name = "mediagen_api"

urlpatterns = [
    # pictures
    *asset_parts.routes,
    *asset_files.routes,
    *verifying.routes,
    *assets.routes,
    *jobs.routes,
    # orders: generations and batches
    *generations.routes,
    *works.routes,
    *descriptions.routes,
    *settling.routes,
    *batches.routes,
    # the house: libraries, providers, numbers
    *libraries.routes,
    *collections.routes,
    *providers.routes,
    *stats.routes,
    *me.routes,
    # other programs: exports, Figma, Canva, tokens, the OpenAI-shaped door
    *openai.routes,
    *exports.routes,
    *figma.routes,
    *imports.routes,
    *tokens.routes,
    *webhooks.routes,
    # the API itself
    *meta.routes,
    re_path(r"", either_way(Nowhere.as_view())),
]
