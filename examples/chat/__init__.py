"""The hooks of the shipped chat example."""
