"""The command ``hauspost``: puts the parts together for one command and says what happened.

    parser.py    the words it understands
    house.py     the data directory of one command, opened as far as it is needed
    output.py    JSON or text, and progress on a terminal
    people.py accounts.py messages.py running.py upkeep.py     what the commands do

Exit status: 0 success, 1 a failure that is reported, 2 wrong usage. With
``--json`` exactly one JSON object is printed, also for a failure (``error``).
No traceback reaches a person.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import sys
from collections.abc import Sequence

from appliance.cli.house import House
from appliance.cli.output import Output
from appliance.cli.parser import parser
from appliance.errors import ApplianceError
from index import IndexFault


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    chosen = parser().parse_args(arguments)
    output = Output(json_wanted=chosen.json)
    try:
        with House(chosen) as house:
            return int(chosen.command(house, output, chosen) or 0)
    except (ApplianceError, IndexFault) as error:
        output.failed(str(error))
        return 1
    except BrokenPipeError:
        # The reader of our output went away (head, less): nothing is wrong.
        sys.stderr.close()
        return 1
    except OSError as error:
        output.failed(f"{error.filename or 'input or output'}: {error.strerror or error}")
        return 1
    except sqlite3.DatabaseError as error:
        output.failed(f"a database of the house cannot be read: {error}; run hauspost verify")
        return 1
    except UnicodeEncodeError:
        output.failed("the command holds octets that are no text in UTF-8")
        return 1
    except Exception as error:
        # A bug: people get a sentence, whoever mends it gets the rest.
        if os.environ.get("HAUSPOST_DEBUG"):
            raise
        logging.getLogger("hauspost").debug("internal error", exc_info=True)
        output.failed(
            f"internal error ({type(error).__name__}: {error}); nothing acknowledged is lost. "
            "Please report it with what HAUSPOST_DEBUG=1 prints"
        )
        return 1
    except KeyboardInterrupt:
        output.failed("interrupted; what was done until now is kept")
        return 1
