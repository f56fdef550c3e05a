"""mediagen.contrib."""
