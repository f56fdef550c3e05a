"""Pictures on their way out, into a Figma file or a Canva account, and back again."""
