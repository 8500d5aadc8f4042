"""What the console is built from: the operations of the API, and those that only people use."""

from dataclasses import dataclass

from grandstand.api.services import Services
from grandstand.operations.manage_operators import OperatorManager
from grandstand.operations.operator_sessions import OperatorSessions
from grandstand.operations.watch_load import LoadWatch


@dataclass(frozen=True, slots=True)
class ConsoleServices:
    """The operations of one process, ready for use."""

    api: Services
    operators: OperatorManager
    sessions: OperatorSessions
    load: LoadWatch
