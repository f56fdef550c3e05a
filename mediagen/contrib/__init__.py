"""Parts that a site adds by a line of its own, each with what it needs beside: see docs/monitoring.md."""
