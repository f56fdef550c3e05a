#!/usr/bin/env bash
# What is known to hold on MariaDB (not yet all of the suite): bash .ci/mariadb.sh
#
# Needs MariaDB on 127.0.0.1:3306 (Debian's is installed and started when this runs as root; MEDIAGEN_CI_MARIADB_URL
# names another server: mysql://user:password@host:3306/name) and, to compile mysqlclient, gcc and libmariadb-dev.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec </dev/null

PYTHON=${PYTHON:-python3}
VENV=${VENV:-.venv-mariadb}
export PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
unset DJANGO_SETTINGS_MODULE PYTHONPATH DATABASE_URL

answers() { "$PYTHON" -c 'import socket; socket.create_connection(("127.0.0.1", 3306), 2).close()' 2>/dev/null; }

install() { # PACKAGE...
    { apt-get update -qq && apt-get install -y -qq "$@"; } >/dev/null || {
        echo "Not here, and could not be installed (Debian: apt-get install $*)." >&2
        exit 1
    }
}

if ! command -v mariadb_config >/dev/null; then install gcc libmariadb-dev pkg-config python3-dev; fi
URL=${MEDIAGEN_CI_MARIADB_URL:-}
if [[ -z $URL ]]; then
    if ! answers; then
        command -v mariadbd >/dev/null || install mariadb-server
        service mariadb start >/dev/null
        for _ in $(seq 1 30); do
            if answers; then break; fi
            sleep 1
        done
    fi
    # The suite makes a database test_<name> and drops it; the number keeps two runs apart.
    URL=mysql://root@127.0.0.1:3306/mediagen_ci_$$
fi

"$PYTHON" .ci/environment.py "$VENV" requirements/test.txt requirements/mariadb.txt
DATABASE_URL=$URL "$VENV/bin/python" -m pytest -q -n auto --maxprocesses 4 \
    tests/test_migrations.py tests/engine/generation/test_same_key.py "$@"
