"""The command line: the verbs of the library, with progress for people and ``--json`` for machines.

Exit codes: 0 all is well; 1 it failed, and standard error says why; 2 the command was wrong; 3 it finished, but some
episodes are errors (the same command tries them again); 130 interrupted (the same command goes on).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor

from acenv.cli import acting, compressing, developing, explaining, failing, predicting  # noqa: F401 (they add their verbs)
from acenv.cli.app import EXIT_FAILED, EXIT_INTERRUPTED, app
from acenv.cli.arguments import spread
from acenv.cli.display import errors
from acenv.compressors.options import CompressionError
from acenv.evaluation import PolicyError
from acenv.runs import RunError
from acenv.types import EngineError

__all__ = ["app", "main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    try:
        app(args=spread(sys.argv[1:] if arguments is None else arguments))
    except (RunError, PolicyError, EngineError, CompressionError, ValueError, ImportError, KeyError, OSError) as error:
        errors.print("[bold red]error:[/] ", end="")
        errors.print(str(error.args[0]) if isinstance(error, KeyError) else str(error), markup=False, highlight=False)
        sys.exit(EXIT_FAILED)
    except BrokenExecutor:
        errors.print(
            "error: a worker process died, perhaps for want of memory; the same command goes on (fewer --jobs?)"
        )
        sys.exit(EXIT_FAILED)
    except KeyboardInterrupt:
        errors.print("interrupted; the finished episodes are safe, and the same command goes on")
        sys.exit(EXIT_INTERRUPTED)
