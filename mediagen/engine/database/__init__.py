"""The database from coroutines: hops to its thread, work that is written together, ids as people give them.

Keeps: one hop for what belongs together, patience with a database that is away for a moment, and no transaction that
spans a provider's call. `hops`, `durability`, `sync`, `ids`. Knows no other room.
"""
