"""The HTTP libraries log what services answer; a key that is echoed in a header is not in it."""

import logging

from mediagen.http import Service, session
from mediagen.secrets import Secret
from tests.http.raw import answering, raw_server

KEY = "sk-echoed-0123456789"


async def test_an_echoed_key_is_in_no_record_of_the_library(caplog):
    caplog.set_level(logging.DEBUG)
    key = Secret(KEY)  # as an adapter holds it
    async with raw_server(answering(200, b"{}", x_your_key=KEY.upper())) as server, session():
        service = Service(server.url, auth={"authorization": f"Bearer {key.reveal()}"}, timeout_s=5)
        await service.request("GET", f"/?key={KEY}")

    records = [record for record in caplog.records if record.name.partition(".")[0].startswith("http")]
    assert "receive_response_headers.complete" in caplog.text
    assert [record.getMessage() for record in records if KEY in record.getMessage().lower()] == []
    assert "[secret]" in caplog.text
