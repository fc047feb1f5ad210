"""What a run has of the machine: processes, devices, memory."""
