"""Content credentials by the library that others check them with: what we read, say and sign is what it says."""

from __future__ import annotations

import io
import json

import pytest

from mediagen import images
from mediagen.engine.files import uploads, verify
from mediagen.models import MediaAsset
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
