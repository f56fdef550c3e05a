"""manage.py describe_assets: alt texts that a model suggests, for many pictures."""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from typing import Any

from django.core.management.base import CommandError, CommandParser

from mediagen.engine.generation import Estimate, descriptions, settling
from mediagen.engine.library import AssetFilters, alt_texts, get_asset, library_called, narrowed
from mediagen.engine.work import describing
from mediagen.errors import ConfigurationError, InvalidRequest, MediagenError, ProvidersCoolingDown
from mediagen.management.base import SOME_FAILED, STOPPED, USAGE, MediagenCommand
from mediagen.management.output import one_line
from mediagen.management.signals import in_steps
from mediagen.models import MediaAsset
from mediagen.models.costs import NOTHING, usd
from mediagen.types import uuid7


class Command(MediagenCommand):
    help = (
        "Asks what pictures show, and keeps each answer as a suggestion: alt texts stay as they are until a person "
        "accepts one. Says before how many there are and what they may cost. Exit code 0: all are described; 1: some "
        "are not; 2: bad usage, nobody was asked; 3: the most that it may cost is reached, nobody can be asked now, or "
        "a signal ended it: what was asked for already is kept."
    )
    examples = (
        "manage.py describe_assets --library Press --language de --max-cost 2",
        "manage.py describe_assets 01a204c9-8da1-7f3b-a702-9254e98a762d --language pt-br --yes",
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("assets", nargs="*", metavar="ID", help="Ids of assets.")
        parser.add_argument("--library", metavar="NAME", help="Those of this library (id, slug or name).")
        parser.add_argument("--tag", metavar="NAME", help="Those with this tag.")
        parser.add_argument("--limit", type=int, metavar="N", help="At most so many, the newest first.")
        parser.add_argument(
            "--all", action="store_true", help="Also those that have an alt text, or a suggestion that waits."
        )
        parser.add_argument(
            "--again", action="store_true", help="Also those whose answer was lost, and may be paid for already."
        )
        parser.add_argument("--language", metavar="CODE", help='"de", "pt-br". That of the site.')
        parser.add_argument("--max-chars", type=int, metavar="N", help="Of each text. 160.")
        parser.add_argument("--provider", metavar="NAME", help="Asked instead of the chain.")
        parser.add_argument("--max-cost", metavar="USD", help="Stops before the next ones might cost more in all.")
        parser.add_argument("--dry-run", action="store_true", help="Asks nobody: texts that say that they are none.")
        parser.add_argument("--yes", action="store_true", help="Does not ask whether it may cost that.")
        parser.add_argument("--json", action="store_true", help="One JSON object a picture, then a summary.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            most = None if options["max_cost"] is None else settling.checked(options["max_cost"])
            wish = descriptions.Wish.of(
                options["language"],
                options["max_chars"],
                provider=options["provider"],
                dry_run=True if options["dry_run"] else None,
            )
            descriptions.sweep()
            assets = self._assets(options)
            estimate = descriptions.plan(None, wish, max(len(assets), 1))
            if most is not None:
                describing.demand_prices(estimate)
        except ProvidersCoolingDown as exc:
            raise CommandError(str(exc), returncode=STOPPED) from exc
        except (InvalidRequest, ConfigurationError) as exc:
            raise CommandError(str(exc), returncode=USAGE) from exc
        if assets:
            self._demand_yes(estimate, options)
        self._describe(assets, wish, estimate, most, options)

    def _assets(self, options: dict[str, Any]) -> list[MediaAsset]:
        if options["limit"] is not None and options["limit"] < 1:
            raise InvalidRequest("--limit must be 1 or more.")
        by_search = options["library"] or options["tag"]
        if bool(options["assets"]) == bool(by_search):
            raise InvalidRequest("Name assets by their ids, or give --library or --tag.")
        if options["assets"]:
            return [get_asset(word) for word in dict.fromkeys(options["assets"])][: options["limit"]]
        found = MediaAsset.objects.kept().ready().select_related("library")
        if options["library"]:
            found = found.filter(library=library_called(options["library"]))
        if options["tag"]:
            found = narrowed(found, AssetFilters(tag=options["tag"]))
        if not options["all"]:
            found = alt_texts.lacking(found, and_unknown=options["again"])
        return list(found.order_by("-pk")[: options["limit"]])

    def _still(self, group: list[MediaAsset], options: dict[str, Any]) -> list[MediaAsset]:
        """Without those for which another run has asked meanwhile, or asks just now."""
        if options["assets"] or options["all"]:
            return group
        chosen = MediaAsset.objects.filter(pk__in=[asset.pk for asset in group])
        still = set(alt_texts.lacking(chosen, and_unknown=options["again"]).values_list("pk", flat=True))
        return [asset for asset in group if asset.pk in still]

    def _demand_yes(self, estimate: Estimate, options: dict[str, Any]) -> None:
        """What it may cost, said before; and somebody who wants that."""
        if not options["json"]:
            self.stdout.write(f"{estimate}.")
        if estimate.is_free or options["yes"]:
            return
        if not sys.stdin.isatty():
            raise CommandError(f"This may cost money: {estimate}. Say --yes.", returncode=USAGE)
        if input("Ask for them? [y/N] ").strip().lower() not in ("y", "yes"):
            raise CommandError("Nobody was asked.", returncode=USAGE)

    def _describe(
        self,
        assets: list[MediaAsset],
        wish: descriptions.Wish,
        estimate: Estimate,
        most: Decimal | None,
        options: dict[str, Any],
    ) -> None:
        cost, done, failed, left = NOTHING, 0, 0, 0
        dearest = describing.most_of_one(estimate)
        with in_steps(lambda text: self.stderr.write(text)) as ended_by:
            while assets:
                number = 0 if ended_by() else describing.how_many(most, cost.counts, dearest)
                if not number:
                    left = len(assets)
                    break
                group, assets = self._still(assets[:number], options), assets[number:]
                for asset, came in zip(group, self._ended(group, wish), strict=True):
                    if isinstance(came, descriptions.Described) and not came.description.failure:
                        done += 1
                    else:
                        failed += 1
                    cost += came.cost if isinstance(came, descriptions.Described) else NOTHING
                    self._tell(asset, came, options)
        facts = {"described": done, "failed": failed, "left": left, **cost.facts()}
        if options["json"]:
            self.stdout.write(json.dumps({"event": "summary", **facts}))
        else:
            self.stdout.write(
                f"{done} described, {failed} not; {cost}. They are suggestions until somebody accepts them."
            )
        if left and ended_by():
            raise CommandError(f"{ended_by()} ended it: {left} are left.", returncode=STOPPED)
        if left:
            text = f"The next one might make it more than {usd(most)} in all: {left} are left."
            raise CommandError(text, returncode=STOPPED)
        if failed:
            raise CommandError(f"{failed} of {done + failed} pictures were not described.", returncode=SOME_FAILED)

    @staticmethod
    def _ended(group: list[MediaAsset], wish: descriptions.Wish) -> list[descriptions.Described | MediagenError]:
        found: list[Any] = []
        for asset in group:
            try:
                found.append(descriptions.begin(asset, wish, pk=uuid7()))
            except MediagenError as exc:
                found.append(exc)
        begun = [one for one in found if not isinstance(one, MediagenError)]
        ended = iter(describing.described(begun))
        return [one if isinstance(one, MediagenError) else next(ended) for one in found]

    def _tell(self, asset: MediaAsset, came: descriptions.Described | MediagenError, options: dict[str, Any]) -> None:
        row = came.description if isinstance(came, descriptions.Described) else None
        failure = row.failure if row is not None else str(came)
        if options["json"]:
            facts = {"asset_id": asset.asset_id, "text": row.text if row else "", "failure": failure}
            told = {"language": row.language, "provider": row.provider_name, "dry_run": row.dry_run} if row else {}
            self.stdout.write(json.dumps({"event": "description", **facts, **told}))
        else:
            self.stdout.write(f"{asset.asset_id}  {one_line(failure, 300) if failure else row.text if row else ''}")
