"""A development site that counts no requests."""

from config.settings.dev import *  # noqa: F403
from config.settings.dev import MEDIAGEN

MEDIAGEN["API_RATES"] = {}
