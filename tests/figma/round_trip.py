"""An asset goes into a Figma file and comes back as its child: python -m tests.figma.round_trip

Nothing is real but the code: a site of its own on a free port with a database that is thrown away, Figma's REST API by
tests/servers, and Figma itself by fake.js, in which node runs the plugin's own code.js. No network, no keys, no money.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from io import StringIO
from pathlib import Path
from typing import Any


def main() -> int:
    if shutil.which("node") is None:
        print("This needs node, to run the plugin's code.js with.", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="mediagen-round-trip-") as folder:
        _begin(Path(folder))
        from django.db import connections

        from tests.servers import SERVERS

        with SERVERS["figma_api"]() as server:
            _walk(Path(folder), server)
        connections.close_all()
    return 0


def _begin(folder: Path) -> None:
    """A site that is new: settings, an empty database, storage in the folder."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.test"
    os.environ.pop("DATABASE_URL", None)
    import django
    from django.conf import settings

    settings.DATABASES["default"]["NAME"] = folder / "site.sqlite3"
    settings.MEDIA_ROOT = str(folder / "media")
    settings.LOGGING_CONFIG = None
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0, stdout=StringIO())


def _walk(folder: Path, server: Any) -> None:
    from django.contrib.auth import get_user_model
    from django.core.management import call_command

    from mediagen.engine import get_media_engine
    from mediagen.engine.library.tokens import issue
    from mediagen.models import AssetExport, MediaAsset, ProviderConfig
    from tests.figma.plugin import Figma
    from tests.figma.serving import served

    engine = get_media_engine()
    config = ProviderConfig.objects.get(name="figma_api")
    config.base_url, config.credentials, config.dry_run = server.base_url, server.key, False
    config.save()
    designer = get_user_model().objects.create_superuser("anna")
    token = issue(designer, "Figma", scopes=["figma"]).text.reveal()

    asset = engine.generate_asset_sync("A lighthouse in fog", 320, 200, name="Lighthouse")
    print(f"1. asset         {asset.name}, {asset.width} x {asset.height}, {asset.format}")

    address = f"https://www.figma.com/design/{server.file_key}/Campaign?t=x"
    found = engine.export_to_figma_sync(asset.pk, address, "0:2", frame_name="Hero", x=120, y=80, comment=True)
    print(
        f"2. export        {found['status']}, node id {found['figma_node_id']!r}; {len(server.comments)} comment pinned"
    )

    with served() as site:
        call_command("figma_plugin", output=str(folder / "plugin"), site=site, stdout=StringIO())
        with Figma(folder / "plugin") as figma:
            plugin = figma.open("anna").ready(token, address)
            (waiting,) = plugin.ask("exports")["results"]
            plugin.ask("place", export=waiting["id"], page_id=waiting["page_id"])
            (layer,) = figma.layers("0:2")
            export = AssetExport.objects.get(pk=found["export_id"])
            print(f"3. plugin        placed {layer['name']} at {layer['x']}, {layer['y']} on page {export.page_id}")
            assert (export.state, export.external_id) == ("placed", layer["id"])
            print(f"4. node id       {export.external_id} on the export; tags: {', '.join(asset.tag_names)}")

            figma.do("goTo", plugin="anna", page="0:2")
            figma.do("edit", node=layer["id"], values={"name": "Hero, blue", "colour": [20, 90, 200]})
            figma.do("select", plugin="anna", ids=[layer["id"]])
            sent = plugin.ask("send")
    child = MediaAsset.objects.get(pk=sent["id"])
    assert child.parent == asset
    print(f"5. sent back     {child.name}, {child.width} x {child.height}, child of {child.parent.name}")

    # The same node by Figma's REST API, for those who do not have the plugin open.
    server.files[server.file_key]["nodes"][export.external_id] = (asset.width, asset.height)
    imported = engine.import_from_figma_sync(address, [export.external_id], scale=2)
    (twin,) = imported.assets
    assert twin.parent == asset
    print(f"6. imported      {twin.name}, {twin.width} x {twin.height}, child of {twin.parent.name}")
    print(f"{server.file_key}: {len(server.requests)} requests to Figma's API, as strict as the vendor's.")


if __name__ == "__main__":
    sys.exit(main())
