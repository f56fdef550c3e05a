"""What happened, told to others: event streams, Django signals, webhooks out.

Keeps: a message is a row of the transaction that changes what it tells of, so none is lost. `progress` (streams and
waiting requests), `announcements` (what to tell when), `messages`, `payloads`, `delivery`, `endpoints`.
"""
