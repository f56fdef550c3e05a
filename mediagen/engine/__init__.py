"""The engine. `from mediagen.engine import get_media_engine`."""

from mediagen.engine.core import MediaEngine, get_media_engine

__all__ = ["MediaEngine", "get_media_engine"]
