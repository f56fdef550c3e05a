"""Numbers for those who decide, and a rehearsal of the chain.

Keeps: one query per figure, none per library or asset that is listed. `statistics`, `buckets` (hours, days, classes of
latency), `rehearsal`.
"""
