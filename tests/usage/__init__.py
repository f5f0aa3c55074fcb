"""What proofs about usage are made of: an oracle that reads like the rules, and random histories."""
