"""Money: held before a request leaves, settled when its end is known, limited by budgets.

Keeps: an amount moves in the transaction of its attempt; what is not known is never nothing. `ledger`, `prices`,
`budgets`.
"""
