"""Names that resolve as a test says, and servers that speak bytes."""

from tests.fake_dns import dns

__all__ = ["dns"]
