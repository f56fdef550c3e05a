#!/usr/bin/env bash
# What goes by the database, on MariaDB: bash .ci/mariadb.sh [start]
#
# With `start` the server is only started. Needs MariaDB on 127.0.0.1:3306: Debian's is installed, started and given a
# user when this runs as root; MEDIAGEN_CI_MARIADB_URL names another server (mysql://user:password@host:3306/name) whose
# user may make databases.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec </dev/null

PYTHON=${PYTHON:-python3}
VENV=${VENV:-.venv-mariadb}
export PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
unset DJANGO_SETTINGS_MODULE PYTHONPATH DATABASE_URL

answers() { (exec 3<>/dev/tcp/127.0.0.1/3306) 2>/dev/null; }

start() {
    local try
    if answers; then return; fi
    if ! command -v mariadbd >/dev/null; then
        { apt-get update -qq && apt-get install -y -qq mariadb-server; } >/dev/null || {
            echo "MariaDB is not here, and could not be installed (Debian: apt-get install mariadb-server)." >&2
            return 1
        }
    fi
    mkdir -p /run/mysqld && chown mysql: /run/mysqld
    start-stop-daemon --start --oknodo --background --exec "$(command -v mariadbd)"
    for try in $(seq 1 30); do
        if answers; then return; fi
        sleep 1
    done
    echo "Nothing answers on 127.0.0.1:3306 after $try s." >&2
    return 1
}

if [[ -z ${MEDIAGEN_CI_MARIADB_URL:-} ]]; then
    start
    # Debian lets root in by its socket alone.
    for host in localhost 127.0.0.1; do
        mariadb -e "CREATE USER IF NOT EXISTS mediagen_ci@'$host'; GRANT ALL ON \`mediagen%\`.* TO mediagen_ci@'$host';
            GRANT ALL ON \`test_mediagen%\`.* TO mediagen_ci@'$host'"
    done
    # The suite makes a database test_<name> and drops it; the number keeps two runs apart.
    export MEDIAGEN_CI_MARIADB_URL=mysql://mediagen_ci@127.0.0.1:3306/mediagen_ci_$$
fi
if [[ ${1:-} == start ]]; then exit; fi

"$PYTHON" .ci/environment.py "$VENV" requirements/test.txt requirements/mariadb.txt
# All of tests/engine, tests/api and tests/management passes here too, in ten minutes; these are the parts in which a
# database can differ: locks, sums, searches, texts, races.
DATABASE_URL=$MEDIAGEN_CI_MARIADB_URL "$VENV/bin/python" -m pytest -q -n auto --maxprocesses 4 --maxschedchunk 16 \
    tests/test_migrations.py tests/test_models.py tests/engine/{database,insight,library,maintenance,money} \
    tests/engine/generation/test_{earlier,holders,left_purchases,purchase_keys,running,same_key}.py \
    tests/engine/work/test_{jobs,worker}.py tests/api/generation "${@}"
"$VENV/bin/python" -m pytest -q -m mariadb tests/kill
