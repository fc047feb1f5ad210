"""Events posted as signed JSON to an address, with retries."""
