"""For one's own machine: debug pages, a key that is made on the first start, this machine's names only."""

from config import env
from config.settings.base import *  # noqa: F403
from config.settings.base import ALLOWED_HOSTS, DATA_DIR, SECRET_KEY

DEBUG = env.flag("DEBUG", default=True)
ALLOWED_HOSTS = ALLOWED_HOSTS or ["localhost", ".localhost", "127.0.0.1", "[::1]"]
SECRET_KEY = SECRET_KEY or env.kept_secret(DATA_DIR / "secret_key")
