"""What kill tests are made of: traffic under a seed, an oracle of what it must come to, the service."""
