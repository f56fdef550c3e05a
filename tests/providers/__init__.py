"""Providers: what each says on the wire, and what it makes of the answers."""
