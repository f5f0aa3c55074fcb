"""What tests of alarms are made of: transcripts, and a store in memory."""
