from one_thread import one_thread  # noqa: F401
from prepared_run import run  # noqa: F401
