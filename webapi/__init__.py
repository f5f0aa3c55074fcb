"""The Flask application: one blueprint an API family."""
