#!/usr/bin/env bash
# Makes docs/example, the report that README shows: a whole run, or with --again only the report of its numbers.
#     scripts/example_report.sh [RUN | --again]
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
enter_environment report
exec "$python" -P "$checkout/scripts/example_report.py" "$@"
