#!/bin/sh
# First start of the database: a role for ValueCanvas that is no superuser.
set -eu
psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
  -v password="$(cat "${APP_PASSWORD_FILE:-/run/secrets/POSTGRES_APP_PASSWORD}")" <<'SQL'
-- CREATEDB: each backup is restored into a scratch database.
CREATE ROLE valuecanvas LOGIN CREATEDB PASSWORD :'password';
CREATE DATABASE valuecanvas OWNER valuecanvas;
-- So that the server's log holds no words of the ledger's statements (docs/OPERATIONS.md).
GRANT SET ON PARAMETER log_min_error_statement, log_error_verbosity TO valuecanvas;
SQL
