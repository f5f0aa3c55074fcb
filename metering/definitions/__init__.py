"""Definition files: what operators write to make samples and events of notifications."""
