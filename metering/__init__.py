"""The domain: schemas, definitions, decoding, repeats. No Beam, no I/O, no clock, no environment."""
