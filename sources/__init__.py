"""Feeds: where payloads come from, and ReadFeeds that brings them into the job."""
