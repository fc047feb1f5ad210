"""From one archive to results on a machine with an accelerator; see docs/accelerator.md."""
