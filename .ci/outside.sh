#!/usr/bin/env bash
# The tests that try the site from outside, in a real browser and with other people's clients: bash .ci/outside.sh
#
# Needs Chromium (Debian's package is installed when there is none and this runs as root). A second run of pytest,
# because a browser's event loop does not go with the suite's. MEDIAGEN_CI_CHROMIUM names another browser's program.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec </dev/null

PYTHON=${PYTHON:-python3}
VENV=${VENV:-.venv-outside}
export PYTHONUNBUFFERED=1
unset PYTHONDONTWRITEBYTECODE DJANGO_SETTINGS_MODULE PYTHONPATH DATABASE_URL

CHROMIUM=${MEDIAGEN_CI_CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)}
if [[ -z $CHROMIUM ]]; then
    echo "Installing Chromium"
    { apt-get update -qq && apt-get install -y -qq chromium; } >/dev/null || {
        echo "There is no Chromium here, and it could not be installed (Debian: apt-get install chromium)." \
            "Or name a program in MEDIAGEN_CI_CHROMIUM." >&2
        exit 1
    }
    CHROMIUM=$(command -v chromium)
fi
export MEDIAGEN_CI_CHROMIUM=$CHROMIUM

"$PYTHON" .ci/environment.py "$VENV" requirements/test.txt requirements/outside.txt
"$CHROMIUM" --version 2>/dev/null || true

# What the TypeScript frontend in examples/ needs, as its lock says; kept while the lock is the same.
command -v npm >/dev/null || { apt-get update -qq && apt-get install -y -qq nodejs npm; } >/dev/null || {
    echo "There is no npm here, and it could not be installed (Debian: apt-get install nodejs npm)." >&2
    exit 1
}
LOCKED=$(sha256sum examples/frontend/package-lock.json | cut -c1-12)
NODE=$(cd "$VENV" && pwd)/frontend-$LOCKED
if [[ ! -e $NODE/done ]]; then
    rm -rf "$NODE" && mkdir "$NODE" && cp examples/frontend/package*.json "$NODE"
    (cd "$NODE" && npm ci --silent --no-audit --no-fund --ignore-scripts) && touch "$NODE/done"
fi
export MEDIAGEN_CI_NODE_MODULES=$NODE/node_modules
# The fuzzer is one long test.
"$VENV/bin/python" -m pytest -q -o faulthandler_timeout=900 -m outside "$@"
"$VENV/bin/python" -m pytest -q -m browser "$@"
