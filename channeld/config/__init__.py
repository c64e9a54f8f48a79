"""From text to the model: YAML with places, the language and its checks, rules; no socket, no clock."""
