"""Events as JSON that is posted to an address, signed, and again until it is taken."""
