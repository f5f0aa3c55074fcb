"""The streamgauge command; it speaks HTTP to the API."""
