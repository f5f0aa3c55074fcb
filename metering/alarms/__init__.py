"""Alarms: their definitions, states and transitions, as values."""
