"""Tags that the engine gives."""

from __future__ import annotations

from mediagen.models import MediaAsset, MediaTag


def tag_served(asset: MediaAsset, provider_name: str, *, is_first: bool) -> None:
    """`generated` and `generated-<provider>`; the tag of a provider that served an earlier version goes.

    Two statements for a new asset. Inside the caller's transaction.
    """
    name = f"generated-{provider_name}"[:100]
    if not is_first:
        asset.tags.remove(*asset.tags.filter(key__startswith="generated-").exclude(key=name.casefold()))
    through = MediaAsset.tags.through
    rows = [through(mediaasset_id=asset.pk, mediatag_id=tag.pk) for tag in MediaTag.objects.ensure(["generated", name])]
    # Not add(): it would ask first what is there.
    through._default_manager.bulk_create(rows, ignore_conflicts=True)
