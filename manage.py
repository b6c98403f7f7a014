#!/usr/bin/env python
"""Django's command line; where no engines are configured it brings its own."""

import os
import sys
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from dotenv import load_dotenv

from valuecanvas.core.audit import audit_context
from valuecanvas.embedded.errors import EngineError
from valuecanvas.embedded.launch import run_with_engines

ROOT = Path(__file__).resolve().parent


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "valuecanvas.settings")
    load_dotenv(ROOT / ".env")
    audit_context.name_process(
        f"command {' '.join(sys.argv[1:2])}", audit_context.ActorKind.COMMAND
    )
    try:
        with run_with_engines(sys.argv, ROOT):
            execute_from_command_line(sys.argv)
    except (EngineError, ImproperlyConfigured) as error:
        sys.exit(f"ValueCanvas cannot start: {error}")


if __name__ == "__main__":
    main()
