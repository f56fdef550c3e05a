"""The production settings without limits of requests, dry unless BENCHMARK_LIVE is set."""

import os

from config.settings.production import *  # noqa: F403
from config.settings.production import MEDIAGEN

MEDIAGEN["API_RATES"] = {}
MEDIAGEN["DRY_RUN"] = not os.environ.get("BENCHMARK_LIVE")
