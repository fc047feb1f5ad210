"""Tables of several runs: the report's systems, and what each part of one brings."""
