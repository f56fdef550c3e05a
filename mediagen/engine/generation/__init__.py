"""One prompt becomes one asset: asked, priced, queued, claimed, run, recorded, recovered.

Keeps: an attempt is a row before its request leaves; only the holder of the newest lease writes; what was bought is
fetched, not bought again. `orders`, `options`, `requests`, `estimates`, `idempotency`, `queue`, `claims`, `leases`,
`running`, `recorder`, `recovery`, `earlier` (what an earlier run has left), `sources`, `job_notices` and
`incoming_webhooks` (webhooks in), `memory_limit`.
"""
