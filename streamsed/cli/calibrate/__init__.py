"""`streamsed calibrate`."""
