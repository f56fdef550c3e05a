"""Assets as images of Wagtail's, and the way back. Wagtail's permissions and mediagen's access both hold.

An image of an asset has the asset's own file where both lie in the same storage, else a copy. It follows the asset:
when a placeholder is replaced by the real picture, so is the image.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from typing import Any

from django.core.files.base import ContentFile
from django.db import IntegrityError
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from wagtail.images.utils import get_allowed_image_extensions
from wagtail.models import Collection
from wagtail.search import index

from mediagen import conf
from mediagen.contrib.wagtail.models import ImageLink
from mediagen.contrib.wagtail.permissions import image_model, may, policy
from mediagen.contrib.wagtail.storage import is_the_assets
from mediagen.engine.files import renditions, upload
from mediagen.engine.files import storage as files
from mediagen.engine.library import Access, NoSuchAsset, Right
from mediagen.errors import InvalidRequest, NotAllowed, StorageFailed
from mediagen.models import AssetSource, MediaAsset, MediaLibrary, ReviewStatus
from mediagen.models.routing import atomic, on_commit

logger = logging.getLogger("mediagen.engine")

MIDDLE = 0.5
FOCAL_PART = 10
"""An asset has a focal point, an image an area: this part of the shorter side."""


# ---------------------------------------------------------------- from the library to Wagtail


def collection_for(library: MediaLibrary, user: Any) -> Any:
    """Where images of this library go: into the collection of MEDIAGEN["WAGTAIL_COLLECTIONS"], else into the first in
    which the user may add images. `NotAllowed` when they may not there, `InvalidRequest` when there is none."""
    allowed = policy().collections_user_has_permission_for(user, "add")
    mapped: Mapping[str, Any] = conf.get("WAGTAIL_COLLECTIONS")
    words = (str(library.pk), library.slug, library.name)
    word = next((mapped[word] for word in words if word in mapped), None)
    if word is None:
        found = allowed.order_by("path").first()
        if found is None:
            raise NotAllowed(_("You may not add images in Wagtail."))
        return found
    wanted = Collection.objects.filter(pk=word) if isinstance(word, int) else Collection.objects.filter(name=word)
    if (collection := wanted.order_by("path").first()) is None:
        raise InvalidRequest(
            _("Wagtail has no collection %(name)s, which MEDIAGEN['WAGTAIL_COLLECTIONS'] names.") % {"name": word}
        )
    if not allowed.filter(pk=collection.pk).exists():
        raise NotAllowed(
            _("You may not add images to the collection %(name)s, which these pictures go to.")
            % {"name": collection.name}
        )
    return collection


def image_for(asset_id: Any, user: Any) -> Any:
    """The Wagtail image of this asset, made at the first time. The same one whoever asks, however often at once.

    The user must be able to read the asset, and to choose its image, or add one where it belongs. `NoSuchAsset` for
    what they may not read, `NotAllowed` for what they may not do in Wagtail, `InvalidRequest` for an asset without a
    picture and for one in a format that this Wagtail does not take, `StorageFailed` when a copy cannot be kept.
    """
    asset = Access(user).assets().select_related("library").filter(pk=asset_id).first()
    if asset is None:
        raise NoSuchAsset(_("There is no such picture, or not for you."), field="asset_id")
    if not asset.is_ready or not asset.file:
        raise InvalidRequest(_("It has no picture yet."), field="asset_id")
    if (there := image_of(asset)) is not None:
        return _allowed(there, user)
    if not may(user, "add"):
        raise NotAllowed(_("You may not add images in Wagtail."))
    extension = files.EXTENSIONS.get(asset.format, "")
    if not {asset.format, extension} & set(get_allowed_image_extensions()):
        raise InvalidRequest(
            _("Wagtail takes no %(format)s here (WAGTAILIMAGES_EXTENSIONS).") % {"format": asset.format}
        )
    image = image_model()(
        title=str(asset)[:255],
        collection=collection_for(asset.library, user),
        uploaded_by_user=user,
    )
    if hasattr(image, "description"):
        image.description = asset.alt_text[:255]
    _focus(image, asset)
    for name, value in _more(asset, user).items():
        setattr(image, name, value)
    copied = _take_file(image, asset)
    try:
        return _keep(image, asset, user)
    except IntegrityError:  # somebody was quicker
        if copied:
            image.file.storage.delete(copied)
        if (there := image_of(asset)) is None:
            raise
        return _allowed(there, user)
    except BaseException:
        if copied:
            image.file.storage.delete(copied)
        raise


def image_of(asset: MediaAsset) -> Any:
    """Its image in Wagtail, or None. Asks nobody's permission."""
    link = ImageLink.objects.filter(asset=asset).first()
    return link.image if link is not None else None


def _allowed(image: Any, user: Any) -> Any:
    if not may(user, "choose", image):
        raise NotAllowed(_("It is an image of Wagtail's already, in a collection that you may not choose from."))
    return image


@atomic()
def _keep(image: Any, asset: MediaAsset, user: Any) -> Any:
    # Under the lock, which whoever removes the asset waits for.
    locked = MediaAsset.objects.kept().locked().filter(pk=asset.pk, file=asset.file.name).first()
    if locked is None:
        raise NoSuchAsset(_("The picture has just been changed or deleted. Look at it again."), field="asset_id")
    ImageLink.objects.filter(asset=asset).exclude(pk__in=_alive(asset)).delete()
    image.save()
    _link(image, asset, follows=True)
    _tag(image, asset)
    index.insert_or_update_object(image)
    return image


def _alive(asset: MediaAsset) -> list[int]:
    """Links whose image is there: SQL and an exchanged image model leave others."""
    return [link.pk for link in ImageLink.objects.filter(asset=asset) if link.image is not None]


def _take_file(image: Any, asset: MediaAsset) -> str:
    """Give the image its file; the name of the copy that was made, "" when both have the same one."""
    field: Any = image._meta.get_field("file")
    content = renditions.source_of(asset)
    copied, own = "", str(asset.file.name)
    if is_the_assets(field.storage) and len(own) <= (field.max_length or 100) and field.storage.exists(own):
        image.file = own
    else:
        content = files.leaving(asset, content)
        name = f"{asset.pk}.{files.EXTENSIONS.get(asset.format, 'bin')}"
        try:
            image.file.save(name, ContentFile(content), save=False)
        except Exception as exc:
            logger.exception("the storage of Wagtail's images did not take asset %s", asset.pk)
            raise StorageFailed(_("The storage of the images did not take the picture. Try again later.")) from exc
        copied = str(image.file.name)
    image.width, image.height = asset.width, asset.height
    image.file_size = len(content)
    image.file_hash = hashlib.sha1(content, usedforsecurity=False).hexdigest()  # as Wagtail finds duplicates
    return copied


def _focus(image: Any, asset: MediaAsset) -> None:
    if (asset.focal_x, asset.focal_y) == (MIDDLE, MIDDLE):
        return
    side = max(1, min(asset.width, asset.height) // FOCAL_PART)
    image.focal_point_x, image.focal_point_y = round(asset.focal_x * asset.width), round(asset.focal_y * asset.height)
    image.focal_point_width = image.focal_point_height = side


def _more(asset: MediaAsset, user: Any) -> dict[str, Any]:
    path = conf.get("WAGTAIL_IMAGE_VALUES")
    return dict(import_string(path)(asset, user)) if path else {}


def _tag(image: Any, asset: MediaAsset) -> None:
    names = [name[:100] for name in asset.tag_names]
    tags = image._meta.get_field("tags").related_model
    if not getattr(tags, "free_tagging", True):
        names = list(tags.objects.filter(name__in=names).values_list("name", flat=True))
    if names:
        image.tags.add(*names)


# ---------------------------------------------------------------- from Wagtail to the library


def asset_for(image: Any, user: Any, library: MediaLibrary) -> MediaAsset:
    """The asset of this image: the one that it has, where the user may read it, else a copy in `library`, with its
    title, description, tags and focal point. Not inside a transaction.

    `NotAllowed` for an image that the user may not choose and a library that they may not add to, `InvalidRequest` for
    what is no picture that we take, such as an SVG.
    """
    if not may(user, "choose", image):
        raise NotAllowed(_("You may not use this image."))
    access = Access(user)
    there = links_of(image).first()
    if there is not None and (own := access.assets().filter(pk=there.asset_id).first()) is not None:
        return own
    if not access.may(Right.GENERATE, library):
        raise NotAllowed(_("You may not add pictures to this library."))
    with image.open_file() as file:
        asset = upload(
            file,
            library=library,
            by=user,
            name=str(image.title)[:255],
            alt_text=str(getattr(image, "description", "") or ""),
            tags=[tag.name for tag in image.tags.all()],
            source=AssetSource.IMPORTED,
        )
    if image.has_focal_point() and image.width and image.height:
        asset.focal_x = min(1.0, image.focal_point_x / image.width)
        asset.focal_y = min(1.0, image.focal_point_y / image.height)
        asset.save(update_fields=["focal_x", "focal_y"])
    _join(image, asset)
    return asset


def _join(image: Any, asset: MediaAsset) -> None:
    """The image is this asset's, unless it has another that is kept."""
    mine = links_of(image)
    try:
        with atomic():
            mine.filter(asset__status=ReviewStatus.DELETED).delete()
            _link(image, asset)
    except IntegrityError:
        logger.info("image %s has an asset already, which %s may not read", image.pk, asset.created_by_id)


def its_asset(image: Any, user: Any) -> MediaAsset | None:
    """The asset of this image, where the user may read it."""
    link = links_of(image).first()
    return Access(user).assets().filter(pk=link.asset_id).first() if link is not None else None


# ---------------------------------------------------------------- kept together


def links_of(image: Any) -> Any:
    return ImageLink.objects.filter(model=image._meta.label_lower, object_id=str(image.pk))


def _link(image: Any, asset: MediaAsset, *, follows: bool = False) -> None:
    label, file = image._meta.label_lower, str(image.file.name)
    ImageLink.objects.create(asset=asset, model=label, object_id=str(image.pk), file=file, follows=follows)


def has_file(name: str) -> bool:
    """Whether the image of an asset has this file, in the storage of the assets."""
    pk = files.asset_of(name)
    if pk is None or not is_the_assets(image_model()._meta.get_field("file").storage):
        return False
    image = image_of(MediaAsset(pk=pk))
    return image is not None and image.file.name == name


def asset_is_ready(asset: MediaAsset, **_: Any) -> None:
    """Its picture may be another one now, as when a placeholder was replaced: so is that of the image made of it."""
    link = ImageLink.objects.filter(asset=asset, follows=True).exclude(file=asset.file.name).first()
    image = link.image if link is not None else None
    if link is None or image is None or image.file.name != link.file:
        return
    sides = (image.width, image.height)
    copied = _take_file(image, asset)
    if sides != (image.width, image.height):
        image.set_focal_point(None)
        _focus(image, asset)
    try:
        with atomic():
            ImageLink.objects.filter(pk=link.pk).update(file=str(image.file.name))
            image.save()
            image.renditions.all().delete()
            on_commit(lambda: image.file.storage.delete(link.file))
    except BaseException:
        if copied:
            image.file.storage.delete(copied)
        raise


def image_is_saved(instance: Any, **_: Any) -> None:
    """One that was given another file in Wagtail is not that asset any more."""
    if instance.pk is not None:
        links_of(instance).exclude(file=str(instance.file.name)).delete()


def image_is_deleted(instance: Any, **_: Any) -> None:
    """The asset is not in use by it any more. Its file stays the asset's: see `storage`."""
    links_of(instance).delete()
