"""manage.py mediagen_make_renditions: the sizes that pages name, made before anybody looks."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from mediagen import conf
from mediagen.engine.files import renditions, responsive
from mediagen.engine.library import AssetFilters, get_asset, library_called, narrowed
from mediagen.errors import InvalidRequest, MediagenError
from mediagen.management.base import SOME_FAILED, USAGE, MediagenCommand
from mediagen.models import GenerationState, MediaAsset, Rendition
from mediagen.models.asset import MediaAssetQuerySet


class Command(MediagenCommand):
    help = (
        "Makes the renditions of ready assets that {% picture %} offers: those of the sets in MEDIAGEN['PICTURES'], or "
        "those that the options describe. What was made before is left. Exit code 1: some could not be made; 2: bad "
        "usage, nothing was made."
    )
    examples = (
        "manage.py mediagen_make_renditions --set hero",
        "manage.py mediagen_make_renditions --library Press --widths 400,800 --formats avif,webp",
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("asset", nargs="*", help="Ids of assets; without any: all that the filters leave.")
        parser.add_argument("--set", action="append", default=[], help="A set in MEDIAGEN['PICTURES']; repeatable.")
        parser.add_argument("--widths", help='Pixels: "400,800".')
        parser.add_argument("--formats", help='"avif,webp", beside the picture\'s own.')
        parser.add_argument("--ratio", help="16:9")
        parser.add_argument("--library", help="Id, slug or name.")
        parser.add_argument("--status", default="approved,published", help='Default: "%(default)s"; "" for all.')

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            plans = self._plans(options)
            assets = self._assets(options)
        except (MediagenError, ValueError) as exc:
            raise CommandError(str(exc), returncode=USAGE) from exc
        made = there = failed = 0
        for asset in assets.order_by("-pk").iterator(chunk_size=100):
            specs = list(dict.fromkeys(spec for plan in plans for spec in responsive.specs_of(asset, plan)))
            known = set(Rendition.objects.filter(asset=asset).values_list("key", flat=True)) if specs else set()
            for spec in specs:
                if spec.key(asset) in known:
                    there += 1
                    continue
                try:
                    renditions.make(asset, spec)
                    made += 1
                except MediagenError as exc:
                    failed += 1
                    self.stderr.write(f"{asset.pk}: {exc}")
                    break
        self.stdout.write(f"{made} made, {there} there before, {failed} assets failed")
        if failed:
            raise CommandError("Some pictures could not be made; see above.", returncode=SOME_FAILED)

    @staticmethod
    def _assets(options: dict[str, Any]) -> MediaAssetQuerySet:
        ready = MediaAsset.objects.kept().ready().select_related("library")
        if options["asset"]:
            assets = [get_asset(word) for word in options["asset"]]
            if waiting := [asset.asset_id for asset in assets if asset.generation_state != GenerationState.READY]:
                raise InvalidRequest(f"There is no picture yet of {', '.join(waiting)}.")
            return ready.filter(pk__in=[asset.pk for asset in assets])
        if options["library"]:
            library_called(options["library"])
        return narrowed(ready, AssetFilters.of({name: options[name] or "" for name in ("library", "status")}))

    @staticmethod
    def _plans(options: dict[str, Any]) -> list[responsive.Plan]:
        given = {name: options[name] for name in ("widths", "formats", "ratio") if options[name]}
        if given and not options["set"]:
            return [responsive.Plan.checked(**given)]
        names = options["set"] or list(conf.get("PICTURES"))
        sets = [{**responsive.named_set(name), **given} for name in names]
        for each in sets:
            each.pop("sizes", None)
        return [responsive.Plan.checked(**each) for each in sets] or [responsive.Plan.checked()]
