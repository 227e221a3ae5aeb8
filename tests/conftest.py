import signal

from hypothesis import settings

# How long an example takes says nothing about the product, and on a busy machine makes tests fail.
settings.register_profile("house", deadline=None)
settings.load_profile("house")
# A job in the background of a shell that is a script ignores this signal, and so would all that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
