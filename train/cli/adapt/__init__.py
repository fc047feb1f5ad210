"""`python -m train adapt`."""
