"""The demo and production project around the app. Not part of the wheel."""
