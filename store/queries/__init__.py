"""What is asked of the store: one frozen query a question, which knows its SQL and its parameters."""
