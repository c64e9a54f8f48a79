"""What nodes ask each other; above the engine.

Reading order: `wire.py` (what is sent), `plans.py` (who serves another plan), `verbs.py` (what one node does), `cluster.py`,
`revocation_log.py` (for nodes that start later), `group_samples.py` (metrics of one machine).
"""
