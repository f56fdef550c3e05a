"""mediagen: AI-made pictures for Django sites, from a chain of providers with failover."""

__version__ = "0.2.0"
