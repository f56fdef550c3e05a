"""Content credentials by the library that others check them with: what we read, say and sign is what it says."""

from __future__ import annotations

import base64
import dataclasses
import io
import itertools
import json
import os

import pytest
from django.core import checks

from mediagen import http, images
from mediagen.engine import get_media_engine
from mediagen.engine.files import originals, storage, uploads, verify
from mediagen.engine.files.renditions import content_of, rendition
from mediagen.http.client import httpx
from mediagen.images import signing
from mediagen.models import MediaAsset, ProviderConfig
from tests import pictures
from tests.factories import MediaLibraryFactory
from tests.outside.certificates import Chain

c2pa = pytest.importorskip("c2pa")

pytestmark = [pytest.mark.outside, pytest.mark.django_db]

PAINTED = {
    "claim_generator_info": [{"name": "Painter", "version": "3"}],
    "assertions": [
        {
            "label": "c2pa.actions.v2",
            "data": {
                "actions": [
                    {
                        "action": "c2pa.created",
                        "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
                    }
                ]
            },
        }
    ],
}


@pytest.fixture(scope="module")
def vendor() -> Chain:
    return Chain.made("Vendor")


def painted(content: bytes, format: str, vendor: Chain) -> bytes:
    """A picture as a vendor that signs sends it."""
    info = c2pa.C2paSignerInfo(c2pa.C2paSigningAlg.ES256, vendor.certificates, vendor.key, None)
    signed = io.BytesIO()
    with c2pa.Signer.from_info(info) as signer, c2pa.Builder(json.dumps(PAINTED)) as builder:
        builder.sign(signer, f"image/{format}", io.BytesIO(content), signed)
    return signed.getvalue()


@pytest.mark.parametrize("format", pictures.FORMATS)
def test_what_came_signed_is_read_and_checked(vendor, format):
    # Large enough for a thumbnail that does not fit into one of a JPEG's segments.
    content = painted(pictures.picture(format, 700, 500), format, vendor)
    said = {"generator": "Painter 3", "signer": "Vendor", "validation": "valid"}
    assert images.checked_credentials(content, images.inspect(content)) == said
    changed = bytearray(content)
    changed[len(content) - 40 if format != "avif" else content.index(b"mdat") + 200] ^= 1
    assert images.checked_credentials(bytes(changed), images.inspect(content))["validation"] == "invalid"
    asset = uploads.upload(content, library=MediaLibraryFactory(), by=None)
    assert asset.content_credentials == said
    found = verify(content, MediaAsset.objects.all())
    assert (found.says["content_credentials"], found.says["digital_source_type"]) == (said, "trainedAlgorithmicMedia")


class TestOurOwn:
    """The site signs what it makes of pictures, and what the vendor signed stands in it."""

    @pytest.fixture
    def site(self, settings, tmp_path) -> Chain:
        chain = Chain.made("Our site")
        (tmp_path / "chain.pem").write_bytes(chain.certificates)
        (tmp_path / "key.pem").write_bytes(chain.key)
        settings.MEDIAGEN = {
            "DRY_RUN": False,
            "C2PA_CERTIFICATES": str(tmp_path / "chain.pem"),
            "C2PA_KEY": tmp_path / "key.pem",
            "C2PA_RENDITIONS_FROM_PX": 40,
        }
        ProviderConfig.objects.all().delete()
        ProviderConfig.objects.create(
            name="first", adapter="openai_images", credentials="sk-0123456789abcdef", prices={}
        )
        return chain

    @staticmethod
    def made(came: bytes, width: int, height: int) -> MediaAsset:
        answer = {"data": [{"b64_json": base64.b64encode(came).decode()}], "output_format": "png"}
        with http.override_transport(httpx.MockTransport(lambda request: httpx.Response(200, json=answer))):
            asset = get_media_engine().generate_asset_sync("a pier", width, height)
        return MediaAsset.objects.get(pk=asset.pk)

    @staticmethod
    def chain_of(content: bytes) -> tuple[str, list[str], list[str]]:
        """(validity, who signed, from the newest to the oldest; the newest one's actions)."""
        picture = images.inspect(content)
        with c2pa.Reader(picture.mime, io.BytesIO(content), context=signing.context()) as reader:
            state, found = reader.get_validation_state(), json.loads(reader.json())
        signers, label = [], found["active_manifest"]
        actions: list[str] = []
        while label:
            manifest = found["manifests"][label]
            signers.append(manifest["signature_info"]["issuer"])
            did = next(one for one in manifest["assertions"] if one["label"].startswith("c2pa.actions"))
            actions = actions or [one["action"] for one in did["data"]["actions"]]
            label = next((one.get("active_manifest") for one in manifest.get("ingredients", [])), None)
        return state, signers, actions

    @pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
    def test_fitted_files_and_renditions_name_the_vendor(self, site, vendor, format):
        asset = self.made(painted(pictures.picture(format, 192, 96), format, vendor), 64, 64)
        with asset.file.open() as file:
            stored = file.read()
        assert (asset.format, asset.content_hash) == (format, images.inspect(stored).sha256)
        assert self.chain_of(stored) == (
            "Valid",
            ["Our site", "Vendor"],
            ["c2pa.opened", "c2pa.cropped", "c2pa.resized"],
        )
        assert storage.leaving(asset, stored) == stored
        assert asset.content_credentials == {"generator": "Painter 3", "signer": "Vendor", "validation": "valid"}
        assert originals.read(asset.original).startswith(stored[:2])
        for wanted in ("webp", "avif", "jpeg", "png"):
            state, signers, actions = self.chain_of(content_of(asset, rendition(asset, width=48, format=wanted)))
            assert (state, signers) == ("Valid", ["Our site", "Vendor"])
            assert ("c2pa.transcoded" in actions) == (wanted != format)
        small = content_of(asset, rendition(asset, width=20))
        assert images.credentials_in(small, images.inspect(small)) == {}
        assert verify(stored, MediaAsset.objects.all()).says["content_credentials"]["signer"] == "Our site"

    def test_one_that_its_vendor_did_not_sign(self, site):
        asset = self.made(pictures.png(192, 96), 64, 64)
        with asset.file.open() as file:
            stored = file.read()
        assert self.chain_of(stored)[:2] == ("Valid", ["Our site"])
        assert images.source_type_in(stored) == "trainedAlgorithmicMedia"
        assert asset.content_credentials == {}

    def test_one_in_the_size_that_was_asked_for_stays_as_it_came(self, site, vendor):
        came = painted(pictures.png(64, 64), "png", vendor)
        asset = self.made(came, 64, 64)
        with asset.file.open() as file:
            assert file.read() == came

    def test_what_is_wrong_is_said_and_costs_no_picture(self, site, settings, tmp_path, caplog):
        def warnings() -> list[str]:
            return [found.msg for found in checks.run_checks() if found.id in ("mediagen.W037", "mediagen.W038")]

        def set_to(chain: Chain) -> None:
            (tmp_path / "chain.pem").write_bytes(chain.certificates)
            (tmp_path / "key.pem").write_bytes(chain.key)
            for path in tmp_path.glob("*.pem"):
                os.utime(path, ns=(next(moments), next(moments)))

        moments = itertools.count(10**18, 10**9)
        set_to(Chain.made("Our site", days=300))
        assert warnings() == []
        set_to(Chain.made("Our site", days=20))
        assert "ends on" in warnings()[0]
        over = Chain.made("Our site", days=-1)
        set_to(over)
        assert "ended on" in warnings()[0]
        asset = self.made(pictures.png(192, 96), 64, 64)
        assert asset.generation_state == "ready"
        set_to(dataclasses.replace(site, key=over.key))
        assert "is not the key" in warnings()[0]
        broken = b"-----%s PRIVATE KEY-----\nMIGHAgEAsecret\n-----END PRIVATE KEY-----\n" % b"BEGIN"
        set_to(dataclasses.replace(site, key=broken))
        assert "no private key" in warnings()[0]
        set_to(dataclasses.replace(site, certificates=b"nothing"))
        assert "no certificates" in warnings()[0]
        settings.MEDIAGEN = {**settings.MEDIAGEN, "C2PA_KEY": None}
        assert "C2PA_KEY'] is not set" in warnings()[0]
        settings.MEDIAGEN = {**settings.MEDIAGEN, "C2PA_KEY": str(tmp_path / "none")}
        assert "cannot be read" in warnings()[0]
        lines = [line for line in (over.key + site.key).decode().splitlines() if not line.startswith("---")]
        assert lines
        assert not [line for line in lines if line in caplog.text]
        assert "a picture is not signed" in caplog.text
