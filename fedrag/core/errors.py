"""Every error the system raises on purpose.

    FedragError
    ├── InputError                 400  bad_input, …           the caller can correct it
    │   └── TooLarge               413  too_large
    ├── IdentityError              401  identity, …            who is asking is missing, wrong or expired
    ├── Refused                    403  refused, …             a hospital's rule says no, whatever the content
    │   └── QuotaExceeded          429  quota_exceeded
    ├── NotFound                   404  not_found
    ├── ConfigError                500  bad_config, …          a file or setting on this machine is wrong
    │   └── MissingExtra           500  missing_extra          an optional library is not installed
    ├── IntegrityError             500  integrity, …           stored or received bytes are not what they should be
    ├── ProtocolError              502  bad_response, …        another party did not keep to the wire format
    └── Unavailable                503  unavailable, …         try again later
        ├── DeadlineExceeded       504  deadline
        └── BudgetSpent            503  budget_spent           a cap on what answering may cost is reached

Codes are stable: programs match on them. Messages are built from codes, names and numbers, never from the text of a
question or passage, so they may be logged. `status` is the HTTP status, `exit_code` the command line's.
"""

from typing import ClassVar


class FedragError(Exception):
    """An expected failure.

    Args:
        message: for people; holds no question or passage text.
        code: stable, snake_case; the class's own code when not given.
    """

    code: str = "error"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code

    @property
    def message(self) -> str:
        return str(self.args[0])


class InputError(FedragError):
    code = "bad_input"
    status = 400
    exit_code = 2


class TooLarge(InputError):
    code = "too_large"
    status = 413


class IdentityError(FedragError):
    code = "identity"
    status = 401
    exit_code = 4


class Refused(FedragError):
    code = "refused"
    status = 403
    exit_code = 5


class QuotaExceeded(Refused):
    code = "quota_exceeded"
    status = 429


class NotFound(FedragError):
    code = "not_found"
    status = 404
    exit_code = 3


class ConfigError(FedragError):
    code = "bad_config"
    exit_code = 78


class MissingExtra(ConfigError):
    code = "missing_extra"


class IntegrityError(FedragError):
    code = "integrity"
    exit_code = 6


class ProtocolError(FedragError):
    code = "bad_response"
    status = 502
    exit_code = 7


class Unavailable(FedragError):
    code = "unavailable"
    status = 503
    exit_code = 8
    retryable = True


class DeadlineExceeded(Unavailable):
    code = "deadline"
    status = 504


class BudgetSpent(Unavailable):
    code = "budget_spent"
    retryable = False
