"""What is known: lookup tables and the latency sources made of them."""
