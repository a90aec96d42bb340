"""What may be logged of an error that is not ours: its type, never its text."""

import logging


def without_error_text(record: logging.LogRecord) -> bool:
    """A log filter: of an exception only its type is kept, for its text may hold a question or a passage."""
    if record.exc_info and record.exc_info[0] is not None:
        record.msg = f"{record.getMessage().strip()} ({record.exc_info[0].__name__})"
        record.args, record.exc_info, record.exc_text = (), None, None
    return True
