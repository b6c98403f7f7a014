#!/bin/sh
# Makes the secrets of an installation, a file each, named as the setting that it holds.
#   deploy/make-secrets.sh FOLDER             for engines of your own (Kubernetes)
#   deploy/make-secrets.sh FOLDER --compose   with those of compose.yaml's own engines
# A file that exists is left as it is, so a second run makes only what is new. Empty ones count
# as not set: write into them what the docs say (docs/ENVIRONMENT_SETUP.md).
set -eu
folder=${1:?usage: make-secrets.sh FOLDER [--compose]}
umask 077
mkdir -p "$folder"

# put NAME VALUE
put() {
  if [ ! -e "$folder/$1" ]; then
    printf %s "$2" >"$folder/$1.new"
    # Readable in a container whatever its user; the folder keeps others on the host out.
    chmod 0644 "$folder/$1.new"
    mv "$folder/$1.new" "$folder/$1"
    echo "made $folder/$1"
  fi
}

put SECRET_KEY "$(openssl rand -base64 48)"
put KEY_PEPPER "$(openssl rand -base64 48)"
put FIELD_KEY "$(openssl rand -base64 32)"
# While a key is changed: its earlier values.
put KEY_PEPPER_PREVIOUS ""
put FIELD_KEY_PREVIOUS ""
# Of the identity provider for single sign-on, if any.
put OIDC_CLIENT_SECRET ""
put METRICS_TOKEN "$(openssl rand -hex 32)"
# manage.py backup --new-key makes it.
put BACKUP_KEY ""
put TOGETHER_API_KEY ""
put OPENAI_API_KEY ""
# Of the e-mail server that sends alerts, if any.
put EMAIL_HOST_PASSWORD ""
# Where errors are sent, if anywhere.
put SENTRY_DSN ""
# Of a collector of traces that wants a key, as in authorization=Bearer%20KEY.
put OTEL_EXPORTER_OTLP_HEADERS ""
if [ "${2:-}" = --compose ]; then
  put POSTGRES_PASSWORD "$(openssl rand -hex 24)"
  put POSTGRES_APP_PASSWORD "$(openssl rand -hex 24)"
  put REDIS_PASSWORD "$(openssl rand -hex 24)"
  put REDIS_APP_PASSWORD "$(openssl rand -hex 24)"
  put DATABASE_URL "postgresql://valuecanvas:$(cat "$folder/POSTGRES_APP_PASSWORD")@postgres:5432/valuecanvas"
  put REDIS_URL "redis://valuecanvas:$(cat "$folder/REDIS_APP_PASSWORD")@redis:6379/0"
  # Of Grafana's user admin.
  put GRAFANA_PASSWORD "$(openssl rand -hex 16)"
  # Of the backups' bucket, as ~/.aws/credentials.
  put AWS_CREDENTIALS ""
else
  put DATABASE_URL ""
  put REDIS_URL ""
fi
