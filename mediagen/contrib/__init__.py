"""What joins mediagen to other programs. Each part needs its extra, and none is imported by the rest."""
