"""Where the job's results go."""
