"""One prompt becomes one asset: asked, priced, queued, claimed, run, recorded, recovered.

Keeps: an attempt is a row before its request leaves; only the holder of the newest lease writes; what was bought is
fetched, not bought again. `orders`, `requests`, `estimates`, `idempotency`, `queue`, `claims`, `leases`, `running`,
`recorder`, `recovery`, `sources`, `failures` (as words for programs), `job_notices` and `incoming_webhooks` (webhooks
in), `memory_limit`.
"""
