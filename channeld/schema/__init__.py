"""Everything that understands JSON Schema: documents and references, checks, validators, guarantees, comparison."""
