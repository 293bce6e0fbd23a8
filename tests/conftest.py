"""What all tests share: Hypothesis looks at the same examples every time, and at no clock."""

from hypothesis import settings

settings.register_profile("rtcore", deadline=None, derandomize=True, database=None, print_blob=True)
settings.load_profile("rtcore")
