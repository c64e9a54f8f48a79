"""What all tests share: a machine under load must not fail a property test by its clock, nor must chance fail anything.

Property tests try the same examples in every run; `pytest -m hypothesis --hypothesis-seed=N` tries others.
"""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "channeld", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("channeld")
