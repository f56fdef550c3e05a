"""Exports to Canva and pictures back from it, on real sockets: each step, each fault, and going on after a death."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from io import BytesIO

import pytest
from PIL import Image

from mediagen.chain import MediaGeneratorChain
from mediagen.errors import (
    BadResponse,
    CredentialsRefused,
    InvalidRequest,
    Misconfigured,
    Outcome,
    OutcomeUnknown,
    ProviderError,
    RateLimited,
    Unavailable,
    UnsupportedRequest,
)
from mediagen.providers import CanvaAPIAdapter, canva_api, canva_inputs
from mediagen.providers.canva_inputs import design_size
from mediagen.secrets import Secret
from mediagen.types import Attempt, Call, GeneratedImage, ProviderJob, reset_current_call, set_current_call
from tests import pictures
from tests.fakes import ListRecorder
from tests.servers import CanvaServer, Fault

IMAGE = GeneratedImage(content=pictures.png(640, 400), format="png", width=640, height=400)


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(canva_api, "POLL_INTERVAL_S", 0.005)
    monkeypatch.setattr(canva_api, "POLL_SETTLE_S", 0.05)
    monkeypatch.setattr(canva_api, "STEP_BACKOFF_S", 0.005)
    monkeypatch.setattr("mediagen.http.service.FETCH_BACKOFF_S", 0.005)


@pytest.fixture
def server(canva_server) -> CanvaServer:
    return canva_server


@pytest.fixture
def adapter(server) -> CanvaAPIAdapter:
    return CanvaAPIAdapter(access_token=server.key, base_url=server.base_url, dry_run=False, timeout_s=5.0)


class Notes(ListRecorder):
    """A recorder that keeps every state of the job that it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: list[ProviderJob] = []

    async def job_submitted(self, attempt: Attempt) -> None:
        assert attempt.job is not None
        self.jobs.append(attempt.job)


@pytest.fixture
def call() -> Iterator[Call]:
    made = Call(attempt=Attempt(provider_name="c", operation="export_to_canva", position=1), recorder=Notes())
    token = set_current_call(made)
    yield made
    reset_current_call(token)


def steps(server: CanvaServer) -> list[str]:
    return [request.step for request in server.requests]


def uploads(server: CanvaServer) -> list[bytes]:
    return [request.body for request in server.requests_for("submit") if request.accepted]


# ---------------------------------------------------------------- the whole way


async def test_an_upload_a_design_and_a_folder(server, adapter, call):
    folder = "https://www.canva.com/folder/FAtest"
    result = await adapter.export_to_canva(IMAGE, "Ein Fühling 🌷" + "x" * 60, folder=folder)
    assert steps(server) == ["submit", "poll", "poll", "design", "move"]
    upload, design = server.requests_for("submit")[0], server.requests_for("design")[0].json()
    name = json.loads(upload.headers["asset-upload-metadata"])["name_base64"]
    assert base64.b64decode(name).decode() == ("Ein Fühling 🌷" + "x" * 60)[:50]
    assert upload.body == IMAGE.content
    assert design["design_type"] == {"type": "custom", "width": 640, "height": 400}
    assert server.assets[design["asset_id"]]["id"] == result.metadata["asset_id"]
    assert server.folders["FAtest"] == [result.design_id]
    assert result.edit_url == server.designs[result.design_id]["design"]["urls"]["edit_url"]
    assert result.metadata["status"] == "placed"
    assert result.metadata["fit_report"] == {}
    told = [job.data for job in call.recorder.jobs]
    assert told[0] == {}
    assert [data.get("design", "") for data in told] == ["", "", "asked", "made", "made"]
    assert {job.id for job in call.recorder.jobs} == {result.metadata["job_id"]}


async def test_without_a_design_the_upload_goes_into_the_folder(server, adapter):
    result = await adapter.export_to_canva(IMAGE, create_design=False, folder="FAtest")
    assert (result.design_id, result.edit_url) == ("", "")
    assert server.folders["FAtest"] == [result.metadata["asset_id"]]


async def test_a_folder_that_refuses_undoes_nothing(server, adapter):
    result = await adapter.export_to_canva(IMAGE, folder="FAgone")
    assert result.design_id in server.designs
    assert "folder_not_found" in result.metadata["fit_report"]["folder"]["why"]
    assert result.metadata["folder"] == ""


@pytest.mark.parametrize(
    ("made", "size"),
    [
        ((640, 400), (640, 400)),
        ((16000, 100), (8000, 50)),
        ((8000, 8000), (5000, 5000)),
        ((10, 10), (40, 40)),
        ((20, 10), (80, 40)),
        ((16000, 10), (8000, 40)),
        ((40, 8000), (40, 8000)),
    ],
)
def test_the_size_of_the_design(made, size):
    assert design_size(*made) == size


# ---------------------------------------------------------------- the picture


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "gif"])
async def test_what_canva_takes_is_sent_as_it_is(server, adapter, format):
    content = pictures.encode(pictures.image(), format)
    result = await adapter.export_to_canva(GeneratedImage(content=content))
    assert uploads(server) == [content]
    assert "format" not in result.metadata["fit_report"]


async def test_an_avif_becomes_a_png(server, adapter):
    content = pictures.encode(pictures.image(), "avif")
    result = await adapter.export_to_canva(GeneratedImage(content=content))
    with Image.open(BytesIO(uploads(server)[0])) as sent:
        assert (sent.format, sent.size) == ("PNG", (64, 48))
    report = result.metadata["fit_report"]["format"]
    assert (report["asked"], report["made"]) == ("avif", "png")


async def test_of_an_animation_the_first_frame_is_sent(server, adapter):
    frames = [pictures.image(seed=number) for number in (1, 2)]
    buffer = BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    result = await adapter.export_to_canva(GeneratedImage(content=buffer.getvalue()))
    with Image.open(BytesIO(uploads(server)[0])) as sent:
        assert (sent.format, getattr(sent, "n_frames", 1)) == ("PNG", 1)
    assert "an animation" in result.metadata["fit_report"]["format"]["why"]


async def test_a_file_that_is_too_large_is_made_smaller(server, adapter, monkeypatch):
    monkeypatch.setattr(canva_inputs, "MAX_UPLOAD_BYTES", 40_000)
    content = pictures.png(640, 400)
    assert len(content) > 40_000
    result = await adapter.export_to_canva(GeneratedImage(content=content))
    assert len(uploads(server)[0]) < 40_000
    assert "bytes" in result.metadata["fit_report"]["format"]["why"]


@pytest.mark.parametrize("content", [b"no picture", "https://example.com/x.png"])
async def test_what_is_no_picture_is_not_sent(server, adapter, content):
    with pytest.raises(UnsupportedRequest):
        await adapter.export_to_canva(GeneratedImage(content=content))
    assert server.requests == []


# ---------------------------------------------------------------- failures of the upload


@pytest.mark.parametrize(
    ("code", "kind"),
    [("file_too_big", UnsupportedRequest), ("import_failed", UnsupportedRequest), ("fetch_failed", Unavailable)],
)
async def test_a_job_that_fails(server, adapter, code, kind):
    server.fault("poll", Fault.job_failed("Because.", status=code))
    with pytest.raises(kind, match=f"{code}: Because") as raised:
        await adapter.export_to_canva(IMAGE)
    assert raised.value.job is not None
    assert server.requests_for("design") == []


@pytest.mark.parametrize("fault", [Fault.reset_after_body_read(), Fault.reset_before_body_read()])
async def test_a_lost_answer_to_the_upload_is_not_sent_again(server, adapter, fault):
    server.fault("submit", fault)
    chain = MediaGeneratorChain([adapter])
    outcome = await chain.execute("export_to_canva", image=IMAGE)
    assert (outcome.result, [a.outcome for a in outcome.attempts]) == (None, [Outcome.UNKNOWN])
    assert len(server.requests_for("submit")) == 1


async def test_an_upload_that_was_not_processed_is_sent_again(server, adapter):
    server.fault("submit", Fault.http(503), times=2)
    outcome = await MediaGeneratorChain([adapter]).execute("export_to_canva", image=IMAGE)
    assert [a.outcome for a in outcome.attempts] == [Outcome.UNAVAILABLE, Outcome.UNAVAILABLE, Outcome.SUCCEEDED]
    assert len(server.assets) == 1


async def test_a_limit_says_how_long(server, adapter):
    server.fault("submit", Fault.rate_limited(17))
    with pytest.raises(RateLimited) as raised:
        await adapter.export_to_canva(IMAGE)
    assert raised.value.retry_after_s == 17.0


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault.http(403, code="missing_scope"), CredentialsRefused),
        (Fault.http(403, code="quota_exceeded"), Misconfigured),
        (Fault.http(413), UnsupportedRequest),
        (Fault.html_200(), BadResponse),
        (Fault.moderation(), ProviderError),
    ],
)
async def test_an_upload_that_is_refused(server, adapter, fault, kind):
    server.fault("submit", fault)
    with pytest.raises(kind):
        await adapter.export_to_canva(IMAGE)
    assert len(server.requests_for("submit")) == 1


@pytest.mark.parametrize(
    "fault", [Fault.http(503), Fault.rate_limited(), Fault.reset_after_body_read(), Fault.html_200(), Fault.empty_200()]
)
async def test_trouble_while_polling_is_waited_out(server, adapter, fault):
    server.fault("poll", fault, times=2)
    result = await adapter.export_to_canva(IMAGE)
    assert result.design_id in server.designs
    assert len(uploads(server)) == 1


@pytest.mark.parametrize("fault", [Fault.job_never_ends(), Fault.unknown_status("paused"), Fault.task_not_found()])
async def test_a_job_whose_end_nobody_sees_can_be_asked_for_later(server, fault):
    adapter = CanvaAPIAdapter(access_token=server.key, base_url=server.base_url, dry_run=False, timeout_s=0.5)
    server.fault("poll", fault, times=None)
    with pytest.raises(OutcomeUnknown) as raised:
        await adapter.export_to_canva(IMAGE)
    job = raised.value.job
    assert job is not None
    server.clear_faults()
    outcome = await MediaGeneratorChain([adapter]).execute("export_to_canva", image=IMAGE, resume={"canva_api": job})
    assert outcome.result.design_id in server.designs
    assert len(uploads(server)) == 1


# ---------------------------------------------------------------- failures of the design


async def test_a_design_that_has_to_wait(server, adapter):
    server.fault("design", Fault.rate_limited(0), times=2)
    server.fault("design", Fault.http(503))
    result = await adapter.export_to_canva(IMAGE)
    assert (len(server.designs), len(uploads(server))) == (1, 1)
    assert result.design_id in server.designs


async def test_a_design_that_never_comes_keeps_the_upload(server):
    adapter = CanvaAPIAdapter(access_token=server.key, base_url=server.base_url, dry_run=False, timeout_s=1.0)
    server.fault("design", Fault.http(503), times=None)
    outcome = await MediaGeneratorChain([adapter]).execute("export_to_canva", image=IMAGE)
    assert [a.outcome for a in outcome.attempts] == [Outcome.UNKNOWN]
    job = outcome.error.job
    server.clear_faults()
    again = await MediaGeneratorChain([adapter]).execute("export_to_canva", image=IMAGE, resume={"canva_api": job})
    assert again.result.metadata["asset_id"] in server.assets
    assert (len(uploads(server)), len(server.designs)) == (1, 1)


async def test_a_design_that_may_have_been_made_is_not_made_again(server, adapter):
    server.fault("design", Fault.reset_after_body_read())
    with pytest.raises(OutcomeUnknown) as raised:
        await adapter.export_to_canva(IMAGE)
    job = raised.value.job
    assert job.data["design"] == "asked"
    outcome = await MediaGeneratorChain([adapter]).execute("export_to_canva", image=IMAGE, resume={"canva_api": job})
    assert outcome.result is None
    assert "may have been made" in outcome.attempts[0].message
    assert (len(server.designs), len(uploads(server))) == (1, 1)
    # A person has looked and says: once more.
    cleared = ProviderJob(job.id, {**job.data, "design": ""})
    again = await MediaGeneratorChain([adapter]).execute("export_to_canva", image=IMAGE, resume={"canva_api": cleared})
    assert again.result.design_id in server.designs
    assert len(uploads(server)) == 1


async def test_a_design_that_is_refused_keeps_the_upload(server, adapter):
    server.fault("design", Fault.http(403))
    with pytest.raises(Misconfigured) as raised:
        await adapter.export_to_canva(IMAGE)
    assert raised.value.job.data["asset_id"] in server.assets
    assert not raised.value.job.data["design"]


async def test_whoever_comes_after_the_last_step_does_nothing_again(server, adapter, call):
    await adapter.export_to_canva(IMAGE, folder="FAtest")
    before = len(server.requests)
    for number, job in enumerate(call.recorder.jobs):
        if job.data.get("design") == "asked":
            continue
        call.resume = job
        result = await adapter.export_to_canva(IMAGE, folder="FAtest")
        assert result.metadata["asset_id"] in server.assets, number
    assert len(uploads(server)) == 1
    assert steps(server)[before:].count("submit") == 0


# ---------------------------------------------------------------- tokens


class Source:
    """A token source that has these to give, the first first."""

    fingerprint = "0123456789abcdef"

    def __init__(self, *tokens: str) -> None:
        self.tokens = list(tokens)
        self.refused: list[str] = []

    async def __call__(self, refused: Secret | None = None) -> Secret:
        if refused is not None:
            self.refused.append(refused.reveal())
            self.tokens.pop(0)
        if not self.tokens:
            raise CredentialsRefused("the connection is broken")
        return Secret(self.tokens[0])


def connected(server: CanvaServer, *tokens: str) -> CanvaAPIAdapter:
    made = CanvaAPIAdapter(base_url=server.base_url, dry_run=False, timeout_s=5.0)
    made.token_source = Source(*tokens)
    return made


async def test_a_token_that_dies_half_way_is_renewed(server):
    adapter = connected(server, "first-access-token", "second-access-token")
    server.access_tokens = {"second-access-token"}
    result = await adapter.export_to_canva(IMAGE)
    assert adapter.token_source.refused == ["first-access-token"]
    assert result.design_id in server.designs
    assert len(uploads(server)) == 1


async def test_a_token_is_renewed_once(server):
    adapter = connected(server, "first-access-token", "second-access-token")
    server.access_tokens = set()
    with pytest.raises(CredentialsRefused, match="Connect Canva") as raised:
        await adapter.export_to_canva(IMAGE)
    assert len(server.requests) == 2
    assert "access-token" not in str(raised.value)


async def test_a_missing_scope_renews_nothing(server):
    adapter = connected(server, server.key)
    server.scopes -= {"asset:write"}
    with pytest.raises(CredentialsRefused, match="missing_scope"):
        await adapter.export_to_canva(IMAGE)
    assert adapter.token_source.refused == []


async def test_a_broken_connection_is_told(server):
    report = await connected(server).probe()
    assert (report.ok, "the connection is broken" in report.detail) == (False, True)
    assert connected(server).is_configured


async def test_a_token_set_by_hand_dies_with_an_honest_message(server, adapter):
    server.expire_access_token()
    with pytest.raises(CredentialsRefused, match=r"lives four hours and cannot renew itself.*connect an account"):
        await adapter.export_to_canva(IMAGE)
    assert len(server.requests) == 1


async def test_the_token_that_comes_from_a_source_is_in_no_text(server):
    token = "planted-oauth-access-0123456789"
    adapter = connected(server, token)
    server.access_tokens = {token}
    assert (await adapter.probe()).ok
    assert token in {secret.reveal() for secret in adapter.secrets}
    assert token not in repr(vars(adapter)) + repr(adapter)
    assert adapter.quoted(f"x {token} y") == "x [secret] y"


def test_another_connection_closes_the_breaker():
    made = CanvaAPIAdapter()
    before = made.config_digest
    made.token_source = Source()
    assert made.config_digest != before


# ---------------------------------------------------------------- back again


@pytest.fixture
async def design(server, adapter) -> str:
    made = await adapter.export_to_canva(IMAGE, "Spring")
    server.requests.clear()
    return made.design_id


async def test_a_page_of_a_design_comes_back(server, adapter, design, settings):
    address = f"https://www.canva.com/design/{design}/abc/edit?utm=1"
    image = await adapter.import_from_canva(address)
    assert (image.format, image.width, image.height) == ("png", 640, 400)
    assert image.metadata == {"design_id": design, "title": "Spring", "page": 1, "dry_run": False}
    assert server.requests_for("export")[0].json() == {"design_id": design, "format": {"type": "png", "pages": [1]}}
    assert server.leaks == []


@pytest.mark.parametrize(("code", "kind"), [("license_required", Misconfigured), ("approval_required", Misconfigured)])
async def test_an_export_that_fails(server, adapter, design, code, kind):
    server.fault("export_poll", Fault.job_failed("Because.", status=code))
    with pytest.raises(kind, match=code):
        await adapter.import_from_canva(design)


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        ("export_poll", Fault.no_picture()),
        ("export_poll", Fault.foreign_url("http://169.254.169.254/latest")),
        ("download", Fault.expired()),
        ("download", Fault.http(500)),
    ],
)
async def test_a_picture_that_cannot_be_had(server, adapter, design, step, fault):
    server.fault(step, fault, times=None)
    with pytest.raises(BadResponse):
        await adapter.import_from_canva(design)


async def test_a_download_that_breaks_is_fetched_again(server, adapter, design):
    server.fault("download", Fault.reset_after_body_read())
    assert (await adapter.import_from_canva(design)).width == 640


async def test_an_export_job_is_found_again(server, adapter, design):
    server.fault("download", Fault.expired(), times=None)
    with pytest.raises(BadResponse):
        await adapter.import_from_canva(design)
    server.clear_faults()
    job = ProviderJob(next(job.id for job in server.jobs.values() if job.data is None))  # an upload's has its bytes
    outcome = await MediaGeneratorChain([adapter]).execute(
        "import_from_canva", design_id=design, resume={"canva_api": job}
    )
    assert outcome.result.width == 640
    assert len(server.requests_for("export")) == 1


async def test_a_dry_import_is_predictable(design):
    first = await CanvaAPIAdapter().import_from_canva(design)
    second = await CanvaAPIAdapter().import_from_canva(design)
    assert first.content == second.content
    assert first.is_placeholder
    assert first.metadata["dry_run"] is True


@pytest.mark.parametrize(
    ("design_id", "page", "field"),
    [
        ("", 1, "design_id"),
        ("a b", 1, "design_id"),
        ("https://www.canva.com/folder/F", 1, "design_id"),
        ("https://evil.example/design/D/edit", 1, "design_id"),
        ("D", 0, "page"),
        ("D", True, "page"),
        ("D", "1", "page"),
    ],
)
async def test_designs_and_pages_that_cannot_be(design_id, page, field):
    with pytest.raises(InvalidRequest) as raised:
        await CanvaAPIAdapter().import_from_canva(design_id, page)
    assert raised.value.field == field
