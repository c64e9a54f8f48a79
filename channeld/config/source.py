"""YAML 1.2 with a place for every value; includes, aliases, environment."""
