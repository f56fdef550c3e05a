#!/usr/bin/env bash
# The tests with real brokers: bash .ci/brokers.sh [pytest arguments]
#
# Needs PostgreSQL on 127.0.0.1:5432, RabbitMQ on 5672 and Redis on 6379; one that does not answer is started from
# Debian's package. MEDIAGEN_CI_DATABASE_URL, MEDIAGEN_CI_RABBITMQ_URL (an empty virtual host) and MEDIAGEN_CI_REDIS_URL
# (a database that may be emptied) name other servers. A service that cannot be had is a failure: nothing is skipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec </dev/null

PYTHON=${PYTHON:-python3}
VENV=${VENV:-.venv-brokers}
export PYTHONUNBUFFERED=1
unset PYTHONDONTWRITEBYTECODE DJANGO_SETTINGS_MODULE PYTHONPATH DATABASE_URL TASKS_ENGINE TASKS_BROKER_URL

answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

wait_for() { # PORT NAME
    local try
    for try in $(seq 1 60); do
        if answers "$1"; then return 0; fi
        sleep 1
    done
    echo "$2 was started and does not answer on 127.0.0.1:$1 after $try s." >&2
    return 1
}

have() { # PROGRAM PACKAGE VARIABLE
    if command -v "$1" >/dev/null; then return 0; fi
    echo "Nothing answers on its port, and there is no $1 here. Install it (Debian: apt-get install $2)," \
        "or name a server in $3." >&2
    return 1
}

if [[ -z ${MEDIAGEN_CI_DATABASE_URL:-} ]] && ! answers 5432; then
    have pg_ctlcluster postgresql MEDIAGEN_CI_DATABASE_URL
    version=$(find /etc/postgresql -mindepth 1 -maxdepth 1 -printf '%f\n' | sort -rn | head -n 1)
    echo "Starting PostgreSQL $version"
    pg_ctlcluster --skip-systemctl-redirect "$version" main start
    wait_for 5432 PostgreSQL
fi
if [[ -z ${MEDIAGEN_CI_REDIS_URL:-} ]] && ! answers 6379; then
    have redis-server redis-server MEDIAGEN_CI_REDIS_URL
    echo "Starting Redis"
    redis-server --daemonize yes --bind 127.0.0.1 --port 6379 --save "" --appendonly no >/dev/null
    wait_for 6379 Redis
fi
if [[ -z ${MEDIAGEN_CI_RABBITMQ_URL:-} ]] && ! answers 5672; then
    have rabbitmq-server rabbitmq-server MEDIAGEN_CI_RABBITMQ_URL
    echo "Starting RabbitMQ"
    rabbitmq-server -detached
    wait_for 5672 RabbitMQ
    rabbitmqctl --quiet await_startup
fi

"$PYTHON" .ci/environment.py "$VENV" requirements/test.txt requirements/brokers.txt
"$VENV/bin/python" -c 'import celery, django, rq, sys
print(f"Python {sys.version.split()[0]}, Django {django.__version__}, Celery {celery.__version__}, RQ {rq.__version__}")'
# -rP: what each test says of its batch, in numbers.
"$VENV/bin/python" -m pytest -q -rP -m broker "${@:-tests/brokers}"
