"""Many assets as one zip: their files under names that can be read, and a manifest.csv that says what they are."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from typing import IO, Any

from django.core.files.base import File

from mediagen.engine.batches import cell
from mediagen.engine.files import links, storage
from mediagen.engine.library import Right
from mediagen.engine.work.running_job import STORING_S, Running, expires_at, file_name
from mediagen.errors import InvalidRequest, StorageFailed
from mediagen.models import MediaAsset, asset_storage
from mediagen.wording import say as _

MAX_BYTES = 4 * 1024**3
TOGETHER = 50
MANIFEST = "manifest.csv"
COLUMNS = (
    "file",
    "asset_id",
    "name",
    "library",
    "alt_text",
    "description",
    "tags",
    "status",
    "source",
    "digital_source_type",
    "credit",
    "licence",
    "expires_on",
    "rating",
    "created_by",
    "reviewed_by",
    "prompt",
    "negative_prompt",
    "seed",
    "provider",
    "model",
    "cost",
    "format",
    "width",
    "height",
    "file_size",
    "sha256",
    "is_placeholder",
    "created_at",
    "problem",
)


def make_zip(running: Running) -> None:
    """The job of kind "zip": the file of every asset that its starter may read, and one line for each in the manifest.

    It is built in a local temporary file and then stored in one go, so nobody meets half of one. A worker that dies
    leaves nothing; the next one begins anew. What cannot be read is left out and said in the manifest's `problem`.
    """
    job = running.job
    job.done, job.failed, job.result = 0, 0, {}
    with tempfile.TemporaryFile(prefix="mediagen-zip-") as built:
        # Pictures are compressed already.
        with zipfile.ZipFile(built, "w", zipfile.ZIP_STORED) as archive:
            lines = [",".join(COLUMNS)]
            lines += (",".join(map(cell, line)) for line in _added(running, archive))
            archive.writestr(MANIFEST, "\r\n".join([*lines, ""]).encode("utf-8-sig"), zipfile.ZIP_DEFLATED)
        if not job.done:
            raise InvalidRequest(_("None of the assets has a file that can be read now."))
        size = built.tell()
        built.seek(0)
        # A bucket may take long for gigabytes.
        running.save(lease_s=STORING_S)
        name = _store(running, built)
    job.result["size_bytes"] = size
    try:
        running.save(file=name, expires_at=expires_at())
    except BaseException:
        storage.remove_file(name)
        raise


def _store(running: Running, built: IO[bytes]) -> str:
    name = file_name(running.job)
    try:
        return asset_storage().save(name, File(built, name))
    except Exception as exc:
        raise StorageFailed(f"The storage did not take the zip ({type(exc).__name__}).") from exc


def _added(running: Running, archive: zipfile.ZipFile) -> Iterator[list[Any]]:
    """A line of the manifest for each asset whose file is in the archive now, or could not be put there."""
    taken = {MANIFEST}
    ids = running.asset_ids
    for start in range(0, len(ids), TOGETHER):
        group = ids[start : start + TOGETHER]
        # Asked anew for each group: a right that was taken away meanwhile counts.
        rows = running.access.assets(Right.READ).filter(pk__in=group)
        found = {
            row.pk: row
            for row in rows.select_related("library", "created_by", "reviewed_by").prefetch_related("tags").order_by()
        }
        for pk in group:
            asset = found.get(pk)
            if asset is None:  # no word on whether it exists
                running.could_not(pk, "There is no such asset, or not for you.")
                continue
            name = free_name(links.download_name(asset), taken) if asset.file else ""
            problem = _add(archive, asset, name)
            if problem:
                running.could_not(pk, problem)
            else:
                running.did()
            yield _line(asset, "" if problem else name, problem)


def _add(archive: zipfile.ZipFile, asset: MediaAsset, name: str) -> str:
    """ "" or what is wrong with the asset's file."""
    if not asset.file:
        return f"It has no picture: it is {asset.generation_state}."
    if archive.start_dir + asset.file_size > MAX_BYTES:
        raise InvalidRequest(
            _("The zip would have more than %(most)s GiB. Choose fewer assets.", most=MAX_BYTES // 1024**3)
        )
    try:
        # Opened before anything is written: a file that is gone leaves no empty one behind.
        with asset_storage().open(str(asset.file.name)) as source:
            when = max(asset.created_at.timetuple()[:6], (1980, 1, 1, 0, 0, 0))
            with archive.open(zipfile.ZipInfo(name, when), "w", force_zip64=True) as target:
                target.write(storage.leaving(asset, source.read()))
    except FileNotFoundError:
        return "Its file is not in the storage."
    except OSError as exc:
        raise StorageFailed(f"The storage does not give the file of asset {asset.pk} ({type(exc).__name__}).") from exc
    return ""


def free_name(wanted: str, taken: set[str]) -> str:
    """The name, or with a number behind it; taken from then on. Case does not matter: it does not on many disks."""
    stem, dot, extension = wanted.rpartition(".")
    name, number = wanted, 1
    while name.casefold() in taken:
        number += 1
        name = f"{stem}-{number}{dot}{extension}"
    taken.add(name.casefold())
    return name


def _line(asset: MediaAsset, name: str, problem: str) -> list[Any]:
    return [
        name,
        asset.asset_id,
        asset.name,
        asset.library.name,
        asset.alt_text,
        asset.description,
        asset.tag_names,
        asset.status,
        asset.source,
        asset.digital_source_type,
        asset.credit,
        asset.licence,
        _text(asset.expires_on),
        _text(asset.rating),
        _text(asset.created_by),
        _text(asset.reviewed_by),
        asset.prompt,
        asset.negative_prompt,
        _text(asset.seed),
        asset.provider_name,
        asset.model_name,
        _text(asset.cost),
        asset.format,
        _text(asset.width or None),
        _text(asset.height or None),
        _text(asset.file_size or None),
        asset.content_hash,
        "yes" if asset.is_placeholder else "no",
        asset.created_at.isoformat(),
        problem,
    ]


def _text(value: Any) -> str:
    return "" if value is None else str(value)
