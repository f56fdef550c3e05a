"""The API's addresses: path("api/v1/", include("mediagen.api.urls")), at any prefix.

Each part has its `routes` beside its views.
"""

from __future__ import annotations

from django.urls import re_path

from mediagen.api import (
    asset_files,
    asset_parts,
    assets,
    batches,
    exports,
    figma,
    generations,
    jobs,
    libraries,
    meta,
    providers,
    stats,
)
from mediagen.api.base import Nowhere
from mediagen.api.openai import views as openai

app_name = "mediagen_api"

urlpatterns = [
    # pictures
    *asset_parts.routes,
    *asset_files.routes,
    *assets.routes,
    *jobs.routes,
    # orders: generations and batches
    *generations.routes,
    *batches.routes,
    # the house: libraries, providers, numbers
    *libraries.routes,
    *providers.routes,
    *stats.routes,
    # other programs: exports, Figma, Canva, tokens, the OpenAI-shaped door
    *openai.routes,
    *exports.routes,
    *figma.routes,
    # the API itself
    *meta.routes,
    re_path(r"", Nowhere.as_view()),
]
