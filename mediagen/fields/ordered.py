"""A many-to-many relation whose rows have a position."""

from __future__ import annotations

from typing import Any

from django.db import models, router, transaction
from django.db.models.fields.related_descriptors import ManyToManyDescriptor
from django.utils.functional import cached_property


def through_model(field: Any, owner: type[models.Model], name: str) -> type[models.Model]:
    """The table in between, as Django makes one, with `position`."""
    label = owner._meta
    near, far = str(label.model_name), "mediaasset"
    meta = type(
        "Meta",
        (),
        {
            "db_table": field.db_table or f"{label.db_table}_{name}",
            "auto_created": owner,
            "app_label": label.app_label,
            "db_tablespace": label.db_tablespace,
            "unique_together": (near, far),
            "ordering": ("position", "pk"),
            "verbose_name": f"{label.model_name}-{far} relationship",
            "apps": field.model._meta.apps if hasattr(field, "model") else label.apps,
        },
    )
    hidden = f"{label.app_label}_{label.model_name}_{name}"
    options = {"db_tablespace": field.db_tablespace, "db_constraint": field.remote_field.db_constraint}
    return type(
        f"{label.object_name}_{name}",
        (models.Model,),
        {
            "Meta": meta,
            "__module__": owner.__module__,
            near: models.ForeignKey(owner, models.CASCADE, related_name=f"{hidden}+", **options),
            far: models.ForeignKey(
                field.remote_field.model,
                models.CASCADE,
                related_name=f"{hidden}_of+",
                related_query_name=f"{hidden}_of",
                **options,
            ),
            "position": models.PositiveIntegerField(default=0),
        },
    )


class OrderedDescriptor(ManyToManyDescriptor):  # type: ignore[type-arg]
    """As Django's, with a manager that keeps the order."""

    @cached_property
    def related_manager_cls(self) -> Any:
        base: Any = super().related_manager_cls

        class OrderedManager(base):  # type: ignore[misc]
            def _order(self) -> str:
                target = self.through._meta.get_field(self.target_field_name)
                return f"{target.related_query_name()}__position"

            def get_queryset(self) -> Any:
                found = super().get_queryset()
                # What was prefetched is in order already, and is no fresh query.
                return found if found._result_cache is not None else found.order_by(self._order())

            def get_prefetch_querysets(self, instances: Any, querysets: Any = None) -> Any:
                first = querysets[0] if querysets else self.model._base_manager.all()
                if not first.query.order_by:
                    first = first.order_by(self._order())
                return super().get_prefetch_querysets(instances, [first])

            def _add_items(self, source: str, target: str, *objs: Any, **how: Any) -> None:
                wanted = list(dict.fromkeys(getattr(obj, "pk", obj) for obj in objs))
                super()._add_items(source, target, *objs, **how)  # Django 6.1 says the database too
                self._place(source, target, wanted)

            _add_items.alters_data = True  # type: ignore[attr-defined]

            def _place(self, source: str, target: str, wanted: list[Any]) -> None:
                """Those that were not there before get the next positions, in the order in which they were given."""
                db = router.db_for_write(self.through, instance=self.instance)
                rows = self.through._default_manager.using(db).filter(**{source: self.related_val[0]})
                last = rows.aggregate(last=models.Max("position"))["last"] or 0
                new = {row.pk: getattr(row, f"{target}_id") for row in rows.filter(position=0)}
                order = {str(pk): number for number, pk in enumerate(wanted)}
                for number, pk in enumerate(sorted(new, key=lambda pk: order.get(str(new[pk]), len(order))), start=1):
                    rows.filter(pk=pk).update(position=last + number)

            def set(self, objs: Any, *, clear: bool = False, through_defaults: Any = None) -> None:
                wanted = list(dict.fromkeys(getattr(obj, "pk", obj) for obj in objs))
                db = router.db_for_write(self.through, instance=self.instance)
                with transaction.atomic(using=db, savepoint=False):
                    super().set(wanted, clear=clear, through_defaults=through_defaults)
                    rows = self.through._default_manager.using(db).filter(
                        **{self.source_field_name: self.related_val[0]}
                    )
                    there = {str(getattr(row, f"{self.target_field_name}_id")): row for row in rows}
                    for number, pk in enumerate(wanted, start=1):
                        row = there.get(str(pk))
                        if row is not None and row.position != number:
                            rows.filter(pk=row.pk).update(position=number)

            set.alters_data = True  # type: ignore[attr-defined]

        return OrderedManager
