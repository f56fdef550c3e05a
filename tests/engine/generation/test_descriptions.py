"""What pictures show: bought once, kept before it is shown, held of budgets, and no alt text without a person."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import OperationalError

from mediagen.engine import get_media_engine
from mediagen.engine.files import uploads
from mediagen.engine.generation import descriptions, settling
from mediagen.engine.library import alt_texts, review
from mediagen.errors import Conflict, GenerationFailed, InvalidRequest
from mediagen.models import AssetDescription, GenerationAttempt, MediaAsset, ProviderConfig
from mediagen.models.clock import db_now
from mediagen.models.costs import cost_of
from tests import pictures
from tests.factories import MediaLibraryFactory
from tests.servers import Fault

pytestmark = pytest.mark.django_db

engine = get_media_engine()
SEES = {"openai_images": "gpt-sees", "gemini": "gemini-sees"}
PRICES = {"describe_input_price": 2, "describe_output_price": 8}


def uploaded(**values):
    return uploads.upload(pictures.png(64, 48), library=MediaLibraryFactory(), by=None, **values)


@pytest.fixture
def seeing(live):
    """`seeing("gemini")` puts a provider live at its server, with a model that sees; nobody else is asked."""

    def go(*names, **options):
        servers = live(*names)
        ProviderConfig.objects.exclude(name__in=names).update(enabled=False)
        for name in names:
            told = {"describe_model": SEES[name], **PRICES, **options}
            config = ProviderConfig.objects.get(name=name)
            config.options = {**config.options, **told}
            config.save()
        return servers

    return go


def rows(asset):
    return list(GenerationAttempt.objects.of(asset).values_list("provider_name", "state", "outcome"))


# ---------------------------------------------------------------- what comes of it


def test_it_is_a_suggestion_with_its_attempt_and_makes_no_asset(seeing):
    seeing("openai_images")
    asset = uploaded()
    said = engine.describe_asset_sync(asset.pk, "de")
    asset.refresh_from_db()

    assert (said.text, said.language, said.state) == ("A lighthouse at dawn.", "de", "ready")
    assert (asset.alt_text, asset.alt_text_suggestion, asset.alt_text_state) == ("", said.text, "suggested")
    [attempt] = GenerationAttempt.objects.of(asset)
    assert (attempt.operation, attempt.state, attempt.cost) == ("describe_image", "succeeded", said.cost)
    assert (attempt.model_name, attempt.description_id) == ("gpt-sees-2026-10-01", said.pk)
    assert MediaAsset.objects.count() == 1
    assert Decimal(0) < said.cost < attempt.listed_price


def test_a_dry_run_costs_nothing_and_is_marked_apart():
    asset = uploaded()
    first, again = (engine.describe_asset_sync(asset.pk, "en") for _ in range(2))
    assert first.text == again.text
    assert first.text.startswith("Dry run")
    asset.refresh_from_db()
    assert asset.alt_text_state == "rehearsed"
    assert cost_of(GenerationAttempt.objects.all()).billed == 0

    MediaAsset.objects.update(alt_text_state="suggested", alt_text_suggestion="A real one.")
    engine.describe_asset_sync(asset.pk)
    asset.refresh_from_db()
    assert asset.alt_text_suggestion == "A real one.", "a rehearsal takes no real suggestion's place"


def test_a_refusal_stops_and_says_so(seeing):
    openai, gemini = seeing("openai_images", "gemini")
    openai.fault("submit", Fault.moderation())
    asset = uploaded()
    with pytest.raises(GenerationFailed, match="safety system"):
        engine.describe_asset_sync(asset.pk)

    said = AssetDescription.objects.get()
    assert (said.state, said.failure_code, said.text) == ("failed", "moderation", "")
    assert gemini.purchases == []
    asset.refresh_from_db()
    assert asset.alt_text_state == ""


def test_an_answer_without_words_is_paid_and_the_next_one_is_asked(seeing):
    openai, gemini = seeing("openai_images", "gemini")
    openai.fault("submit", Fault.no_picture())
    asset = uploaded()
    said = engine.describe_asset_sync(asset.pk)

    assert (said.provider_name, len(openai.purchases), len(gemini.purchases)) == ("gemini", 1, 1)
    assert rows(asset)[0] == ("openai_images", "failed", "bad_response")
    assert cost_of(GenerationAttempt.objects.of(asset)).billed > said.cost


@pytest.mark.parametrize("asked", [{"language": "nonsense!"}, {"max_chars": 5}, {"providers": ["figma_api"]}])
def test_what_cannot_be_is_said_before_there_is_a_row(asked):
    asset = uploaded()
    with pytest.raises(InvalidRequest):
        engine.describe_asset_sync(asset.pk, **asked)
    assert not AssetDescription.objects.exists()


# ---------------------------------------------------------------- money


def test_budgets_hold(seeing):
    (openai,) = seeing("openai_images")
    asset = uploaded()
    asset.library.budget_limit = Decimal("0.01")
    asset.library.save()
    with pytest.raises(GenerationFailed, match=r"has \$0.01 left"):
        engine.describe_asset_sync(asset.pk)
    assert (openai.purchases, AssetDescription.objects.get().failure_code) == ([], "budget")

    asset.library.budget_limit = 1
    asset.library.save()
    engine.describe_asset_sync(asset.pk)
    assert len(openai.purchases) == 1


def test_without_a_price_a_budget_passes_it_over_unless_the_site_holds_one(seeing):
    (openai,) = seeing("openai_images", describe_output_price=None)
    asset = uploaded()
    asset.library.budget_limit = 1
    asset.library.save()
    with pytest.raises(GenerationFailed, match="price_when_unknown"):
        engine.describe_asset_sync(asset.pk)
    ProviderConfig.objects.filter(name="openai_images").update(price_when_unknown=Decimal("0.02"))
    said = engine.describe_asset_sync(asset.pk)

    assert (said.cost, len(openai.purchases)) == (None, 1)
    assert cost_of(GenerationAttempt.objects.of(asset)).possible == Decimal("0.02")
    [attempt] = GenerationAttempt.objects.unsettled()
    settling.settle(attempt.pk, cost=Decimal("0.003"), by="a person")
    said.refresh_from_db()
    asset.refresh_from_db()
    assert (said.cost, asset.cost) == (Decimal("0.003"), 0), "what the picture cost stays"


def test_an_answer_that_is_lost_is_unknown_and_not_asked_for_again(seeing):
    (openai,) = seeing("openai_images")
    openai.fault("submit", Fault.reset_after_body_read())
    asset = uploaded()
    with pytest.raises(GenerationFailed):
        engine.describe_asset_sync(asset.pk)
    assert (rows(asset), len(openai.purchases)) == ([("openai_images", "unknown", "unknown")], 1)
    assert AssetDescription.objects.get().failure_code == "unknown"


def test_what_a_killed_process_may_have_bought_is_not_bought_again(seeing):
    (openai,) = seeing("openai_images")
    asset = uploaded()
    openai.fault("submit", Fault.hang())
    killed_while_asking(openai, asset)
    assert len(openai.purchases) == 1
    openai.release()
    left = AssetDescription.objects.get()
    assert left.state == "running"
    done = async_to_sync(descriptions.run)(left)

    assert done.description.state == "failed"
    assert "may have been answered, and paid for" in done.description.failure
    assert (rows(asset), len(openai.purchases)) == ([("openai_images", "unknown", "unknown")], 1)
    assert cost_of(GenerationAttempt.objects.of(asset)).possible > 0


def test_words_that_cannot_be_written_are_booked_and_not_asked_for_again_by_itself(seeing, monkeypatch, caplog):
    seeing("openai_images")
    asset = uploaded()

    def full(*args, **kwargs):
        raise OperationalError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(alt_texts, "suggest", full)
        with pytest.raises(OperationalError):
            engine.describe_asset_sync(asset.pk)
    [attempt] = GenerationAttempt.objects.of(asset)
    assert (attempt.state, attempt.cost > 0, "paid and lost" in attempt.message) == ("failed", True, True)
    assert "A lighthouse at dawn." in caplog.text
    assert AssetDescription.objects.get().failure_code == "unknown"
    assert asset not in alt_texts.lacking(MediaAsset.objects.all())


def test_who_gives_up_while_it_is_asked_for_does_not_ask_again_by_itself(seeing):
    (openai,) = seeing("openai_images")
    asset = uploaded()
    openai.fault("submit", Fault.hang())
    given_up_while_asking(openai, asset)
    openai.release()
    assert (rows(asset), AssetDescription.objects.get().failure_code) == (
        [("openai_images", "unknown", "unknown")],
        "unknown",
    )
    assert asset not in alt_texts.lacking(MediaAsset.objects.all())


def test_what_may_be_paid_for_comes_before_why_nobody_else_was_asked(seeing):
    openai, gemini = seeing("openai_images", "gemini")
    openai.fault("submit", Fault.reset_after_body_read())
    asset = uploaded()
    asset.library.budget_limit = Decimal("0.07")
    asset.library.save()
    with pytest.raises(GenerationFailed):
        engine.describe_asset_sync(asset.pk)
    assert (len(openai.purchases), gemini.purchases) == (1, [])
    assert AssetDescription.objects.get().failure_code == "unknown"
    assert asset not in alt_texts.lacking(MediaAsset.objects.all())


def test_maintenance_ends_what_a_killed_process_has_left(seeing):
    (openai,) = seeing("openai_images")
    openai.fault("submit", Fault.hang())
    killed_while_asking(openai, uploaded())
    openai.release()
    assert descriptions.sweep() == 1
    assert AssetDescription.objects.get().failure_code == "unknown"
    assert descriptions.sweep() == 0


def test_who_has_lost_it_buys_nothing_and_its_late_words_are_kept(seeing, monkeypatch):
    (openai,) = seeing("openai_images")
    asset = uploaded()
    wish = descriptions.Wish.of("en")
    late = descriptions.begin(asset, wish)
    late = descriptions._take(late, 10)
    AssetDescription.objects.update(lease_token=5)
    with pytest.raises(Exception, match="taken over"):
        async_to_sync(descriptions._run)(late, 10, False)
    assert openai.purchases == []

    result = async_to_sync(descriptions._image_of)(asset)
    assert result.content
    AssetDescription.objects.update(state="failed", failure="x")
    recorder = descriptions._Recorder(late, descriptions.ChainsNow().of())
    words = descriptions.ImageDescription(text="Late words.", provider_name="openai_images")
    async_to_sync(descriptions._kept)(late, words, recorder)
    assert (AssetDescription.objects.get().text, AssetDescription.objects.get().state) == ("Late words.", "ready")


def given_up_while_asking(server, asset):
    """Ask until the question hangs, then wait no longer."""

    async def go():
        task = asyncio.ensure_future(engine.describe_asset(asset.pk))
        await sync_to_async(server.wait_for_requests, thread_sensitive=False)("submit")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async_to_sync(go)()


def killed_while_asking(server, asset):
    """Ask until the question hangs, then leave as a killed process does: without a last word."""
    given_up_while_asking(server, asset)
    AssetDescription.objects.update(
        state="running", lease_until=db_now() - timedelta(seconds=1), failure="", finished_at=None
    )
    GenerationAttempt.objects.update(state="submitted", outcome="", finished_at=None, message="")


# ---------------------------------------------------------------- a person says


@pytest.fixture
def suggested(db):
    asset = uploaded()
    description = AssetDescription.objects.create(
        asset=asset, language="en", max_chars=160, state="ready", text="A red disc."
    )
    alt_texts.suggest(asset.pk, "A red disc.", rehearsed=False)
    asset.refresh_from_db()
    return asset, description


@pytest.mark.parametrize(("text", "state"), [(None, "accepted"), ("A red\n disc.", "accepted"), ("A disc.", "changed")])
def test_it_becomes_the_alt_text_when_a_person_accepts_or_changes_it(suggested, django_user_model, text, state):
    asset, description = suggested
    person = django_user_model.objects.create(username="ada")
    alt_texts.accept(asset, person, text)
    asset.refresh_from_db()
    description.refresh_from_db()
    assert (asset.alt_text, asset.alt_text_state) == (" ".join((text or "A red disc.").split()), state)
    assert asset.alt_text_suggestion == ""
    assert (description.answer, description.answered_by) == (state, person)
    with pytest.raises(Conflict, match="gone"):
        alt_texts.accept(asset, person)


def test_a_text_that_is_there_is_replaced_only_by_who_says_so(suggested):
    asset, _ = suggested
    MediaAsset.objects.update(alt_text="By hand, meanwhile.")
    with pytest.raises(Conflict, match="already"):
        alt_texts.accept(asset, None)
    asset.refresh_from_db()
    assert (asset.alt_text, asset.alt_text_state) == ("By hand, meanwhile.", "suggested")
    alt_texts.accept(asset, None, replace=True)
    assert asset.alt_text == "A red disc."


def test_rejected_it_is_gone_and_the_text_stays(suggested):
    asset, description = suggested
    alt_texts.reject(asset, None)
    asset.refresh_from_db()
    description.refresh_from_db()
    assert (asset.alt_text, asset.alt_text_state, description.answer) == ("", "rejected", "rejected")
    assert asset in alt_texts.lacking(MediaAsset.objects.all())


def test_a_text_written_by_hand_answers_the_suggestion(suggested):
    asset, description = suggested
    asset.alt_text = "My own words."
    review.describe(asset, {"alt_text"})
    asset.refresh_from_db()
    description.refresh_from_db()
    assert (asset.alt_text_state, asset.alt_text_suggestion, description.answer) == ("changed", "", "changed")
    assert asset not in alt_texts.lacking(MediaAsset.objects.all())
