"""Tags that the engine gives."""

from __future__ import annotations

from collections.abc import Sequence

from mediagen.models import MediaAsset, MediaTag
from mediagen.models.statements import insert_missing


def tag_served(served: Sequence[tuple[MediaAsset, str]]) -> None:
    """Tag assets `generated` and `generated-<provider>`, given with the provider that made their picture; the tag of
    a provider that made an earlier one goes.

    Two statements for any number of new assets. Inside the caller's transaction.
    """
    clean = MediaTag.objects.clean_names
    names = {provider_name: clean([f"generated-{provider_name}"[:100]])[0] for _, provider_name in served}
    for asset, provider_name in served:
        if asset.generated_at is not None:
            key = names[provider_name].casefold()
            asset.tags.remove(*asset.tags.filter(key__startswith="generated-").exclude(key=key))
    tags = {tag.key: tag.pk for tag in MediaTag.objects.ensure(["generated", *names.values()])}
    rows = [
        (asset.pk, tags[name.casefold()])
        for asset, provider_name in served
        for name in ("generated", names[provider_name])
    ]
    # Not add(): it would ask first what is there.
    insert_missing(MediaAsset.tags.through, ("mediaasset", "mediatag"), rows)
