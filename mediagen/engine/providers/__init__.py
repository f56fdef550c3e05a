"""The entries of the chain, for those who run a site: order, settings, credentials, health.

Keeps: a credential goes in and is never shown again. `entries`, `description` (what each can do), `health`,
`credentials` (encrypted anew), `canva_account`, `tables` (the vendors' models and prices).
"""
