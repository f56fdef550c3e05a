"""One idempotency key is one picture, however many ask at once, on every database."""

from threading import Barrier, Thread

import pytest
from django.db import connections

from mediagen.engine.generation import claims
from mediagen.engine.generation.orders import AssetOrder
from mediagen.engine.library.libraries import get_or_create_library
from mediagen.models import MediaAsset

THREADS = 6


@pytest.mark.django_db(transaction=True)
def test_six_threads_with_one_key_get_one_asset():
    library = get_or_create_library("keys")
    together, answers = Barrier(THREADS), []

    def ask() -> None:
        try:
            together.wait(30)
            order = AssetOrder.of("a lighthouse", library_id=library.pk, idempotency_key="order 7")
            answers.append(claims.create(order, held=True))
        except Exception as exc:
            answers.append((exc, None))
        finally:
            connections.close_all()

    threads = [Thread(target=ask) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    (asset,) = MediaAsset.objects.all()
    assert [found for found, _ in answers] == [asset] * THREADS
    assert sorted(is_new for _, is_new in answers) == [False] * (THREADS - 1) + [True]
