"""The studio: where people without a business in the admin make pictures, watch them come, and use them.

Pages are rendered on the server and work without JavaScript; the modules in static/mediagen/studio/ make them live.
"""
