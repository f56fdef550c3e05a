"""The production settings, with as many pictures of a batch at once as there are streams to be told."""

from config.settings.production import *  # noqa: F403
from config.settings.production import MEDIAGEN

MEDIAGEN["API_RATES"] = {}
MEDIAGEN["DRY_RUN"] = True
