from hypothesis import settings

# How long an example takes says nothing about the product, and on a busy machine makes tests fail.
settings.register_profile("house", deadline=None)
settings.load_profile("house")
