"""Money: held before a request leaves, settled when its end is known, limited by budgets.

Keeps: an amount moves in the transaction of its attempt; what is not known is never nothing. `ledger`, `prices`,
`budgets`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mediagen.lazy import names_from

if TYPE_CHECKING:
    from mediagen.engine.money.budgets import BudgetReport, budget_reports
    from mediagen.engine.money.ledger import Budget, BudgetUsedUp, left_of
    from mediagen.engine.money.prices import Kind, of_late

__getattr__ = names_from(
    __name__,
    {
        "budgets": "BudgetReport budget_reports",
        "ledger": "Budget BudgetUsedUp left_of",
        "prices": "Kind of_late",
    },
)
