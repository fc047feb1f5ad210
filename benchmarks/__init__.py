"""Speed against peers, measured in one run; `make bench` writes RESULTS.md."""
