"""Meter and event definitions in the form operators have: read, checked, applied to notifications."""
