"""What nodes ask of each other, above the engine.

Reading order: `wire.py` (what is sent), `verbs.py` (what one node does), `cluster.py`,
`revocation_log.py` (for nodes that start later), `group_samples.py` (metrics of one machine).
"""
