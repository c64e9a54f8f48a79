"""What all tests share: a machine under load must not fail a property test by its clock."""

from hypothesis import settings

settings.register_profile("channeld", deadline=None)
settings.load_profile("channeld")
