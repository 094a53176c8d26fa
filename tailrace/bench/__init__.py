"""How fast, for how much processor and memory, measured on real servers with the product's own processes."""
