# syntax=docker/dockerfile:1
# One image, four commands: see compose.yaml and docs/deploying.md.
FROM python:3.13-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
COPY requirements/prod.txt /tmp/prod.txt
# Every version pinned, every file hashed, wheels only: nothing is compiled here.
RUN /opt/venv/bin/pip install --require-hashes --no-deps --only-binary :all: -r /tmp/prod.txt

FROM python:3.13-slim
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/srv \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    DJANGO_SETTINGS_MODULE=config.settings.production \
    MEDIAGEN_DATA_DIR=/data \
    STATIC_ROOT=/srv/static \
    LOG_FORMAT=json
# Not root, with a number of its own, so that volumes can be given to it.
RUN groupadd --gid 10001 mediagen \
    && useradd --uid 10001 --gid mediagen --no-create-home --shell /usr/sbin/nologin mediagen \
    && install -d -o mediagen -g mediagen /data
WORKDIR /srv
COPY --from=build /opt/venv /opt/venv
COPY manage.py LICENSE ./
COPY config config
COPY mediagen mediagen
COPY templates templates
# Static files belong to the image. The key is for this command alone, and in no layer.
RUN SECRET_KEY=only-for-collecting-static-files-0123456789 ALLOWED_HOSTS=localhost \
    python manage.py collectstatic --noinput --verbosity 0
USER mediagen
VOLUME /data
EXPOSE 8000
# Of the server; the worker and the sweep have none of their own, and alerts miss a worker that is gone.
HEALTHCHECK --interval=15s --timeout=10s --start-period=30s --retries=3 CMD ["python", "-m", "config.healthcheck"]
# Process 1 itself, so that SIGTERM reaches it.
CMD ["granian", "--interface", "asgi", "--host", "0.0.0.0", "--port", "8000", "--workers", "2", "--workers-kill-timeout", "30", "config.asgi:application"]
